"""`python -m wider`, and what `torchrun -m wider` starts."""

from wider.cli import start

start()
