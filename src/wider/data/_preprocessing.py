"""Which images of a dataset are used, and how."""

from typing import Literal, Self

import pydantic
import torch
from jaxtyping import Int64
from torch import Tensor

from wider.data._images import ImageData
from wider.data._large_images import LargeImageData
from wider.errors import InputError
from wider.fields import Count, CountOrNone, Seed, Side
from wider.randomness import stream

Normalisation = Literal["channel", "pixel", "unit"]


class Preprocessing(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Which images are used, and how their pixels are scaled."""

    dataset: str = "mnist"
    """The dataset: digits, mnist, cifar10, cifar100, svhn, a name on the Hugging Face Hub, or a
    folder in the data folder; imagenet and other large images after `wider prepare`."""

    normalisation: Normalisation = "channel"
    """How pixels are scaled. channel: mean 0 and standard deviation 1 over each colour channel;
    pixel: the same for each pixel by itself; unit: 0 to 1."""

    num_train: Count | None = None
    """How many training images are used, drawn at random; all of them by default."""

    num_validation: CountOrNone = 0
    """How many training images are set aside for validation, drawn at random."""

    scaled_by: Literal["used", "all"] = "used"
    """Which training images the mean and the deviation are of: those that are used, or all, so that
    pixels which hardly vary among few images are not blown up."""

    split_seed: Seed = 0
    """Which images are drawn: the same seed draws the same ones."""

    image_size: Side | None = None
    """Height and width to which large images of several sizes are cropped, in pixels; 224 for
    ImageNet. None for datasets whose images are all of one size, which are used as they are."""

    classes: tuple[Seed, ...] = ()
    """The classes that are used, which become 0, 1, ... in this order; all of them by default."""

    grey: bool = False
    """Whether colours are replaced by their brightness."""

    shrunk_to: Side | None = None
    """Height and width to which images of one size are shrunk by averaging, in pixels."""

    @property
    def as_loaded(self) -> Self:
        """The same for all that `load_for` makes one dataset of."""
        defaults = ("normalisation", "scaled_by", "num_train", "num_validation", "split_seed")
        return self.model_copy(
            update={name: type(self).model_fields[name].default for name in defaults}
        )


def drawn_rows(
    data: ImageData | LargeImageData, preprocessing: Preprocessing
) -> tuple[Int64[Tensor, "train"], Int64[Tensor, "validation"]]:
    """Draws the images to use; see `wider.data.prepare`.

    Returns:
        Which training and which validation images, each in their original order.

    Raises:
        InputError: more images are asked for than there are.
    """
    available = data.num_train
    num_validation = preprocessing.num_validation
    wanted = num_validation + (preprocessing.num_train or 1)
    if wanted > available:
        raise InputError(
            f"num_train = {preprocessing.num_train} and num_validation = {num_validation} need "
            f"{wanted} images, but {data.name} has {available} training images. Ask for fewer."
        )
    seed = preprocessing.split_seed
    for_validation = torch.randperm(available, generator=stream(seed, "validation split"))
    validation_rows = for_validation[:num_validation]
    order = torch.randperm(available, generator=stream(seed, "training subset"))
    rest = order[~torch.isin(order, validation_rows)]
    return rest[: preprocessing.num_train].sort().values, validation_rows.sort().values
