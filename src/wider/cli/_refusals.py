"""What is said of errors that no command can help: one line, which names a remedy."""

import errno
import os
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wider.errors import InputError, MissingExtraError
from wider.text import quoted

GO_ON = "the same command then goes on from what is finished"
MAKE_ROOM = f"make room there, or choose another place; {GO_ON}"
MAY_NOT = "choose a place where you may read and write, or change its permissions"
REMEDIES = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EFBIG: f"allow larger files (ulimit -f), or choose another place; {GO_ON}",
    errno.EACCES: MAY_NOT,
    errno.EPERM: MAY_NOT,
    errno.EROFS: MAY_NOT,
    errno.EISDIR: "name a file, or remove the folder",
    errno.ENOTDIR: "name a folder, or remove the file",
    errno.EEXIST: "name a folder, or remove the file",
    errno.ENOENT: "check the name",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EMFILE: f"allow more open files (ulimit -n), or use fewer --jobs; {GO_ON}",
    errno.EPIPE: f"a process was gone before it was done; {GO_ON}",
}
MEND = f"mend it; {GO_ON}"
NO_MEMORY = "there is not enough memory: use a narrower net, a smaller batch or fewer --jobs"


def check_text(arguments: Sequence[str]) -> None:
    """Makes sure that all arguments are text.

    Raises:
        InputError: one is not; a path, mostly. Libraries that read and write files refuse such
            names, some of them only after a run is trained.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{quoted(argument)} is not UTF-8: rename the file or the folder, and use a name "
                "that is"
            ) from error


def said_of(error: Exception) -> list[str]:
    """What to say of an error, line by line; nothing of one that is a bug."""
    if isinstance(error, InputError):
        return list(error.args)
    if isinstance(error, MissingExtraError):
        return [str(error)]
    if isinstance(error, ValidationError):
        return [_said_of_field(problem) for problem in error.errors()]
    if isinstance(error, OSError):
        return [_said_of_system(error)]
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _wants_memory(error)):
        return [NO_MEMORY]
    return []


def _said_of_field(problem: ErrorDetails) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def _said_of_system(error: OSError) -> str:
    """What the system refused, of which file, and what to do."""
    reason = error.strerror or str(error) or type(error).__name__
    # Of two files the second is the one that was asked for; the first is on its way there.
    path = error.filename if error.filename2 is None else error.filename2
    name = f"{quoted(os.fsdecode(path))}: " if isinstance(path, str | bytes) else ""
    return f"{name}{reason}: {REMEDIES.get(error.errno or 0, MEND)}"


def _wants_memory(error: RuntimeError) -> bool:
    """Whether PyTorch asked for memory in vain; on a processor it has no type for that."""
    words = str(error)
    return "out of memory" in words or "can't allocate memory" in words
