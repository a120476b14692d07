"""`python -m wider.cli`, for environments without the `wider` script."""

from wider.cli import start

start()
