"""What a study needs to know of a dataset, whatever it is of."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from wider.data._preprocessing import Preprocessing
from wider.errors import InputError
from wider.tasks import Task


class Dataset(ABC):
    """A loaded dataset, as it is before examples are drawn and scaled.

    Attributes:
        kind: what it is of, such as "images"; for messages.
        fields: those of `Preprocessing` that data of this kind have, beside `dataset`.
        name: the name that was asked for, such as "mnist".
        encoding: how it was stored, such as "png"; lossy or not.
        digest: SHA-256, as hexadecimal digits, of all that a net can see of it.
        notes: what a user should know before training; the command line shows them.
    """

    kind: ClassVar[str] = "data"
    fields: ClassVar[frozenset[str]] = frozenset()

    name: str
    encoding: str
    digest: str
    notes: tuple[str, ...]

    @property
    @abstractmethod
    def num_train(self) -> int:
        """How many training examples there are; of text, tokens."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What nets for it take and give."""

    def adapted(self, preprocessing: Preprocessing) -> Self:  # noqa: ARG002
        """The same data with what a preprocessing says of their task; nothing is copied."""
        return self


def check_fields(data: type[Dataset], name: str, preprocessing: Preprocessing) -> None:
    """Does nothing if a preprocessing asks for nothing that data of a kind do not have.

    Args:
        data: the class of the dataset.
        name: of the dataset, for the message.
        preprocessing: what is asked for.

    Raises:
        InputError: it does.
    """
    for field, about in type(preprocessing).model_fields.items():
        value = getattr(preprocessing, field)
        if field not in {"dataset", *data.fields} and value != about.default:
            raise InputError(
                f"{field} is {value!r}, but {name} is of {data.kind}, for which there is no such "
                f"thing: leave {field} out"
            )
