"""`python -m wider`, and what `torchrun -m wider` starts."""

import sys

from wider.cli import main

sys.exit(main())
