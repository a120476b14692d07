"""`python -m wider.cli`, for environments without the `wider` script."""

import sys

from wider.cli import main

sys.exit(main())
