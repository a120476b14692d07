"""The one error that a user's input can cause."""


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
