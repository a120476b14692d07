"""Which examples of a dataset are used, and how."""

from typing import Annotated, Literal, Self

import pydantic

from wider.data._transformations import TRANSFORMATIONS, TransformationSpec
from wider.described import FromTable
from wider.fields import Count, CountOrNone, Normalisation, Seed, Side


class Preprocessing(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Which examples are used, and how they are scaled."""

    dataset: str = "mnist"
    """The dataset: digits, mnist, cifar10, cifar100, svhn, python-source, breast-cancer, diabetes,
    a name on the Hugging Face Hub, a folder in the data folder, or MODULE:NAME for a function of
    your own; imagenet and other large images after `wider prepare`."""

    normalisation: Normalisation = "channel"
    """How inputs are scaled. channel: mean 0 and standard deviation 1 over each colour channel;
    pixel: the same for each pixel by itself; unit: 0 to 1. Of tables each column by itself."""

    num_train: Count | None = None
    """How many training examples are used, drawn at random; all of them by default. Of text, tokens
    from its start."""

    num_validation: CountOrNone = 0
    """How many training examples are set aside for validation, drawn at random. Of text, tokens
    from its end."""

    scaled_by: Literal["used", "all"] = "used"
    """Which training examples the mean and the deviation are of: those that are used, or all, so
    that pixels which hardly vary among few images are not blown up."""

    split_seed: Seed = 0
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
        """The same for all that `load_for` makes one dataset of."""
        return self._without(
            "normalisation", "scaled_by", "num_train", "num_validation", "split_seed"
        )

    @property
    def as_read(self) -> Self:
        """The same for all whose dataset differs in nothing but its task; see `Dataset.adapted`."""
        return self.as_loaded._without("context", "transformations")

    def _without(self, *names: str) -> Self:
        defaults = {name: type(self).model_fields[name].default for name in names}
        return self.model_copy(update=defaults)
