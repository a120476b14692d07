"""What a study needs to know of a dataset, whatever it is of."""

from abc import ABC, abstractmethod

from wider.tasks import Task


class Dataset(ABC):
    """A loaded dataset, as it is before examples are drawn and scaled.

    Attributes:
        name: the name that was asked for, such as "mnist".
        encoding: how it was stored, such as "png"; lossy or not.
        digest: SHA-256, as hexadecimal digits, of all that a net can see of it.
        notes: what a user should know before training; the command line shows them.
    """

    name: str
    encoding: str
    digest: str
    notes: tuple[str, ...]

    @property
    @abstractmethod
    def num_train(self) -> int:
        """How many training examples there are."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What nets for it take and give."""
