"""The process `wider`, and what signals do to it."""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from wider.errors import MissingExtraError
from wider.extras import need

INTERRUPTIONS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
HEARD: list[int] = []  # signals that interrupted, for libraries make errors of their own of them
INTERRUPTED = "wider: interrupted; the same command goes on from what is finished"


def start() -> NoReturn:
    """The entry point of `wider`: `main`, which SIGTERM and SIGHUP interrupt as Ctrl-C does.

    The second signal ends it at once.
    """
    _on_interruption(_end)  # nothing has been done yet
    try:
        need("study")
    except MissingExtraError as error:
        sys.stderr.write(f"wider: {error}\n")
        sys.exit(2)
    from wider.cli._main import main  # noqa: PLC0415 - takes seconds, in which signals are heard

    try:
        _on_interruption(_interrupt)
        code = main()
        _on_interruption(signal.SIG_DFL)
    except KeyboardInterrupt as interrupt:  # before `main` hears it, or when it is done
        _end(interrupt.args[0], None)
    sys.exit(code)


def _on_interruption(handler: Callable[[int, object], None] | signal.Handlers) -> None:
    for number in INTERRUPTIONS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` asks for
            signal.signal(number, handler)


def _end(number: int, _: object) -> NoReturn:
    os.write(2, f"\n{INTERRUPTED}\n".encode())
    os._exit(128 + number)


def _interrupt(number: int, _: object) -> NoReturn:
    _on_interruption(signal.SIG_DFL)
    HEARD.append(number)
    raise KeyboardInterrupt(number)
