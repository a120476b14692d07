"""From a loaded dataset to data that are ready for training, whatever they are of."""

from functools import singledispatch
from typing import TYPE_CHECKING, overload

from wider.data._dataset import Dataset, check_fields
from wider.data._images import ImageData
from wider.data._large_images import LargeImageData
from wider.data._preprocessing import Preprocessing
from wider.data._training_data import TrainingData
from wider.errors import InputError

if TYPE_CHECKING:
    from wider.data._prepared_images import PreparedData
    from wider.data._streamed_data import StreamedData


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
    data: ImageData, preprocessing: Preprocessing, *, workers: int | None = None
) -> "PreparedData": ...
@overload
def prepare(
    data: ImageData | LargeImageData, preprocessing: Preprocessing, *, workers: int | None = None
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
