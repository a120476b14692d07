"""Where the command line starts, and what its exit codes mean."""

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

import tyro

import wider
from wider.cli._commands import COMMANDS
from wider.cli._described_flags import RULES
from wider.cli._output import print_data
from wider.cli._refusals import check_text, said_of
from wider.cli._start import HEARD, INTERRUPTED
from wider.console import say

DONE, BAD_INPUT, DIVERGED, NO_READER = 0, 2, 3, 141

DESCRIPTION = """Are wider nets better given the same number of weights?

Results go to standard output, messages to standard error. Exit codes: 0 done, 2 bad input, or the
system refused a file (the message says what to change), 3 a trained run diverged, 141 whoever read
the output has gone; interrupted (the same command goes on) 130 by Ctrl-C, 143 by SIGTERM, 129 by
SIGHUP. `wider --version` says which version this is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: those of the command line by default.

    Returns:
        The exit code.
    """
    # tyro shows what pydantic says of a bad flag; a link to pydantic's manual does not help there.
    os.environ.setdefault("PYDANTIC_ERRORS_INCLUDE_URL", "0")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # rather an escape than an error about a letter
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _Warnings()
            try:
                return _answer(sys.argv[1:] if arguments is None else arguments)
            finally:
                sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout, sys.stderr)
        return NO_READER
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt.args[0] if interrupt.args else signal.SIGINT)
    except Exception as error:
        if HEARD:
            return _interrupted(HEARD[0])
        lines = said_of(error)
        if not lines:
            raise
        for line in lines:
            say(f"wider: {line}", style="red")
        _silence_if_full(sys.stdout)
        return BAD_INPUT


def _interrupted(number: int) -> int:
    with suppress(OSError):  # the terminal may be gone
        say("")
        say(INTERRUPTED)
    return 128 + number


class _Warnings:
    """Shows each warning once, in one line, without the line of code that it comes from."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, message: Warning | str, *_: object) -> None:
        if str(message) not in self._said:
            self._said.add(str(message))
            say(f"wider: {message}", style="yellow")


def _answer(arguments: Sequence[str]) -> int:
    check_text(arguments)
    if list(arguments) == ["--version"]:
        print_data(f"{wider.__version__}\n")
        return DONE
    diverged = tyro.extras.subcommand_cli_from_dict(
        {
            name: _with_flowing_text(command) if name in arguments[:1] else _without_flags(command)
            for name, command in COMMANDS.items()
        },
        prog="wider",
        description=DESCRIPTION,
        args=arguments,
        registry=RULES,
    )
    if diverged:
        say(f"wider: {diverged}", style="red")
    return DIVERGED if diverged else DONE


def _with_flowing_text(command: Callable[..., object]) -> Callable[..., object]:
    """The same, with the text on each flag on one line of its docstring: tyro would keep lines."""
    command.__doc__ = re.sub(r"\n {12}(?=\S)", " ", command.__doc__ or "")
    return command


def _without_flags(command: Callable[..., object]) -> Callable[[], None]:
    """What stands for a command in the list of all: to find its flags may take seconds."""

    def named() -> None: ...

    named.__doc__ = command.__doc__
    return named


def _silence_if_full(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        _silence(stream)


def _silence(*streams: TextIO) -> None:
    """Or Python would try to write what is left when it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError):  # one that has no number
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
