"""The one error that a user's input can cause."""


class InputError(ValueError):
    """Bad input: the message names the value, what is allowed, and the remedy.

    The command line prints it as one line and exits with 2; anything else that is raised is a bug.
    """
