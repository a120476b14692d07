"""The errors whose message is all that a user has to know."""


class InputError(ValueError):
    """Bad input: the message names the value, what is allowed, and the remedy.

    The command line prints it as one line and exits with 2; anything else that is raised is a bug,
    apart from what the system refuses (`OSError`, `MemoryError`).

    Args:
        messages: one; of input in which several things are wrong, one line each.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class MissingExtraError(ImportError):
    """A package that an extra brings is not installed; the message says how to install it.

    Args:
        package: that is missing.
        extra: that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'wider[{extra}]'", name=package)
