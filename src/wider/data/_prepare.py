"""From a loaded dataset to data that are ready for training, whatever they are of."""

from functools import singledispatch
from typing import TYPE_CHECKING, overload

import torch
from jaxtyping import Int64
from torch import Tensor

from wider.data._dataset import Dataset, Preprocessing, check_fields
from wider.data._training_data import TrainingData
from wider.errors import InputError
from wider.randomness import stream

if TYPE_CHECKING:
    from wider.data.images import ImageData, LargeImageData, PreparedData, StreamedData


@singledispatch
def prepared(
    data: Dataset,
    preprocessing: Preprocessing,  # noqa: ARG001
    *,
    workers: int | None,  # noqa: ARG001
) -> TrainingData:
    """What `prepare` does with one kind of data; each kind registers its own."""
    raise InputError(
        f"{data.name} is of the class {type(data).__name__}, and nothing is known of how to "
        "prepare it: return what wider.data.from_arrays returns"
    )


@overload
def prepare(
    data: "ImageData", preprocessing: Preprocessing, *, workers: int | None = None
) -> "PreparedData": ...
@overload
def prepare(
    data: "ImageData | LargeImageData", preprocessing: Preprocessing, *, workers: int | None = None
) -> "PreparedData | StreamedData": ...
@overload
def prepare(
    data: Dataset, preprocessing: Preprocessing, *, workers: int | None = None
) -> TrainingData: ...
def prepare(
    data: Dataset, preprocessing: Preprocessing, *, workers: int | None = None
) -> TrainingData:
    """Draws the examples to use and scales them.

    Validation examples are drawn first, those of training from the rest. With the same seed a
    smaller draw is part of every larger one. Mean and standard deviation come from the training
    examples that are used, or from all of them, and from no other. Of text, the first tokens are
    for training and the last for validation, and nothing is scaled.

    Args:
        data: a loaded dataset.
        preprocessing: what to draw and how to scale.
        workers: processes that decode large images; 0 to decode them in this one. By default as
            many as PyTorch has threads.

    Returns:
        Examples that are in each part in their original order; images and tables as 32-bit
        floating-point numbers.

    Raises:
        InputError: if more examples are asked for than there are, or if they cannot be cropped or
            scaled in this way.
    """
    check_fields(type(data), data.name, preprocessing)
    return prepared(data.adapted(preprocessing), preprocessing, workers=workers)


def drawn_rows(
    data: Dataset, preprocessing: Preprocessing, noun: str
) -> tuple[Int64[Tensor, "train"], Int64[Tensor, "validation"]]:
    """Draws the examples to use; see `wider.data.prepare`.

    Args:
        data: of which they are.
        preprocessing: how many, and the seed of the draw.
        noun: what the examples are, for messages.

    Returns:
        Which training and which validation examples, each in their original order.

    Raises:
        InputError: more are asked for than there are.
    """
    available = data.num_train
    num_validation = preprocessing.num_validation
    check_enough(data, preprocessing, noun)
    seed = preprocessing.split_seed
    for_validation = torch.randperm(available, generator=stream(seed, "validation split"))
    validation_rows = for_validation[:num_validation]
    order = torch.randperm(available, generator=stream(seed, "training subset"))
    rest = order[~torch.isin(order, validation_rows)]
    return rest[: preprocessing.num_train].sort().values, validation_rows.sort().values


def check_enough(data: Dataset, preprocessing: Preprocessing, noun: str) -> None:
    """Does nothing if a dataset has as many examples as are asked for.

    Raises:
        InputError: it has fewer.
    """
    num_train, num_validation = preprocessing.num_train, preprocessing.num_validation
    wanted = num_validation + (num_train or 1)
    if wanted > data.num_train:
        raise InputError(
            f"num_train = {num_train} and num_validation = {num_validation} need {wanted} {noun}, "
            f"but {data.name} has {data.num_train} training {noun}. Ask for fewer."
        )


def check_one_validation(data: Dataset, preprocessing: Preprocessing) -> None:
    """Of a dataset with a validation split, does nothing if nothing else is set aside.

    Raises:
        InputError: there would be two.
    """
    if preprocessing.num_validation:
        raise InputError(
            f"num_validation is {preprocessing.num_validation}, but {data.name} has a validation "
            "split of its own: leave num_validation out"
        )
