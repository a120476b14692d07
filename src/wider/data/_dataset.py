"""What a study needs to know of a dataset, whatever it is of, and what it may ask for."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import pydantic
from torch import Tensor

from wider.columns import Column, Role, column_in
from wider.data._transformations import TRANSFORMATIONS, TransformationSpec
from wider.described import FromTable
from wider.errors import InputError
from wider.fields import Count, CountOrNone, Normalisation, Seed, Side
from wider.tasks import Task


class Preprocessing(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Which examples are used, and how they are scaled."""

    dataset: str = "mnist"
    """The dataset: digits, mnist, cifar10, cifar100, svhn, python-source, breast-cancer, diabetes,
    a name on the Hugging Face Hub, a folder in the data folder, or MODULE:NAME for a function of
    your own; imagenet and other large images after `wider prepare`."""

    normalisation: Annotated[Normalisation, Column(Role.TRAINING)] = "channel"
    """How inputs are scaled. channel: mean 0 and standard deviation 1 over each colour channel;
    pixel: the same for each pixel by itself; unit: 0 to 1. Of tables each column by itself."""

    num_train: Annotated[Count | None, Column(Role.TRAINING)] = None
    """How many training examples are used, drawn at random; all of them by default. Of text, tokens
    from its start."""

    num_validation: Annotated[CountOrNone, Column(Role.TRAINING)] = 0
    """How many training examples are set aside for validation, drawn at random. Of text, tokens
    from its end."""

    scaled_by: Annotated[Literal["used", "all"], Column(Role.TRAINING)] = "used"
    """Which training examples the mean and the deviation are of: those that are used, or all, so
    that pixels which hardly vary among few images are not blown up."""

    split_seed: Annotated[Seed, Column(Role.TRAINING)] = 0
    """Which examples are drawn: the same seed draws the same ones."""

    image_size: Side | None = None
    """Height and width to which large images of several sizes are cropped, in pixels; 224 for
    ImageNet. None for datasets whose images are all of one size, which are used as they are."""

    classes: tuple[Seed, ...] = ()
    """The classes that are used, which become 0, 1, ... in this order; all of them by default."""

    grey: bool = False
    """Whether colours are replaced by their brightness."""

    shrunk_to: Side | None = None
    """Height and width to which images of one size are shrunk by averaging, in pixels."""

    context: Count | None = None
    """Of text, tokens in a row that go in together; 64 by default."""

    tokenizer: str | None = None
    """Of text, a file of the `tokenizers` library in the dataset's folder, such as tokenizer.json;
    by default each byte is a token."""

    target: str | None = None
    """Of a table, the column that is to be said: by default "target" or "label", or else the last
    one."""

    transformations: tuple[Annotated[TransformationSpec, FromTable(TRANSFORMATIONS)], ...] = ()
    """What is done to scaled images and tables in memory, in order: whiten, rotate, permute,
    noise-features, or MODULE:NAME for a function of your own."""

    @property
    def as_loaded(self) -> Self:
        """The same for all that `load_for` makes one dataset of: whatever is trained on of it."""
        fields = type(self).model_fields.items()
        return self._without(*(name for name, field in fields if column_in(field.metadata)))

    @property
    def as_read(self) -> Self:
        """The same for all whose dataset differs in nothing but its task; see `Dataset.adapted`."""
        return self.as_loaded._without("context", "transformations")

    def _without(self, *names: str) -> Self:
        defaults = {name: type(self).model_fields[name].default for name in names}
        return self.model_copy(update=defaults)


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


def digest_of(about: Any, tensors: Sequence[Tensor]) -> str:
    """The SHA-256 of everything that a net can see of a dataset.

    Args:
        about: what is not in tensors, such as the names of classes; as JSON has it.
        tensors: in an order that is always the same.

    Returns:
        64 hexadecimal digits; the same on every machine for the same content.
    """
    layout = [[str(tensor.dtype), list(tensor.shape)] for tensor in tensors]
    digest = hashlib.sha256(json.dumps([about, layout]).encode())
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
