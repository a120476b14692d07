"""What is known of datasets that many people use."""

from dataclasses import dataclass

from wider.errors import InputError


@dataclass(frozen=True)
class Known:
    """Facts about a dataset.

    Args:
        hub_name: its name on the Hugging Face Hub; None for what comes with a library.
        num_train: training images.
        image_shape: channels, height, width of an image; for images of several sizes, of what is
            usually cropped from them.
        num_classes: classes.
        hub_config: which of its variants on the Hub, if it has several.
        of_one_size: whether all images have the same height and width.
        test_split: the name on the Hub of the split with which nets are judged.
    """

    hub_name: str | None
    num_train: int
    image_shape: tuple[int, int, int]
    num_classes: int
    hub_config: str | None = None
    of_one_size: bool = True
    test_split: str = "test"


KNOWN = {
    "digits": Known(None, 1297, (1, 8, 8), 10),
    "mnist": Known("ylecun/mnist", 60_000, (1, 28, 28), 10),
    "cifar10": Known("uoft-cs/cifar10", 50_000, (3, 32, 32), 10),
    "cifar100": Known("uoft-cs/cifar100", 50_000, (3, 32, 32), 100),
    "svhn": Known("ufldl-stanford/svhn", 73_257, (3, 32, 32), 10, hub_config="cropped_digits"),
    # Of SVHN's test images, for a first look: 10,000 of them, split anew.
    "svhn_10k": Known(None, 8001, (3, 32, 32), 10),
    # The labels of its split "test" are secret, so everyone judges by "validation".
    "imagenet": Known(
        "ILSVRC/imagenet-1k",
        1_281_167,
        (3, 224, 224),
        1000,
        of_one_size=False,
        test_split="validation",
    ),
}


def check_known(name: str, *, num_classes: int, channels: int) -> None:
    """Does nothing unless a dataset bears a known name and is another one.

    Args:
        name: of the dataset.
        num_classes: that it has.
        channels: of its images.

    Raises:
        InputError: the name stands for a dataset with other classes or colours.
    """
    known = KNOWN.get(name)
    if known is None:
        return
    remedy = (
        f"If this is another dataset, rename its folder; if it is {name}, use the files of "
        f"{known.hub_name}."
    )
    if num_classes != known.num_classes:
        raise InputError(
            f"{name} has {known.num_classes} classes, but the dataset of that name here has "
            f"{num_classes}. {remedy}"
        )
    if channels != known.image_shape[0]:
        raise InputError(
            f"The images of {name} are {_colour(known.image_shape[0])}, but those of the dataset "
            f"of that name here are {_colour(channels)}. {remedy}"
        )


def _colour(channels: int) -> str:
    return "grey" if channels == 1 else "in colour"
