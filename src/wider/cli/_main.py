"""Where the command line starts, and what its exit codes mean."""

import gc
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

import pydantic
import tyro
from rich.console import Console

from wider.cli import _commands
from wider.cli._start import INTERRUPTED
from wider.errors import InputError

# What has been imported stays: the garbage collector need not go through it again and again.
gc.freeze()

DONE, BAD_INPUT, DIVERGED = 0, 2, 3

DESCRIPTION = """Are wider nets better given the same number of weights?

Results go to standard output, messages to standard error. Exit codes: 0 done, 2 bad input (the
message says what to change), 3 a trained run diverged; interrupted (the same command goes on)
130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: those of the command line by default.

    Returns:
        The exit code.
    """
    # tyro shows what pydantic says of a bad flag; a link to pydantic's manual does not help there.
    os.environ.setdefault("PYDANTIC_ERRORS_INCLUDE_URL", "0")
    messages = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        diverged = tyro.extras.subcommand_cli_from_dict(
            _commands.COMMANDS,
            prog="wider",
            description=DESCRIPTION,
            args=arguments,
        )
    except InputError as error:
        messages.print(f"wider: {error}", markup=False, style="red")
        return BAD_INPUT
    except pydantic.ValidationError as error:
        for problem in error.errors():
            place = ".".join(map(str, problem["loc"]))
            messages.print(f"wider: {place}: {problem['msg']}", markup=False, style="red")
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        with suppress(OSError):  # the terminal may be gone
            messages.print(f"\n{INTERRUPTED}")
        return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)
    return DIVERGED if diverged else DONE
