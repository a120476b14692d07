"""The handwritten digits that come with scikit-learn."""

import numpy as np
import torch

from wider.data._images import ImageData, Split, content_digest
from wider.data._registered import DATASETS
from wider.randomness import stream

NUM_TRAIN = 1297


@DATASETS.register("digits")
def load_digits() -> ImageData:
    """Loads scikit-learn's 1,797 grey digits of 8x8 pixels; needs no network.

    They come without a split, so a fixed draw makes 1,297 of them training and 500 test images.

    Returns:
        The digits, their 17 grey levels spread over 0 to 255.

    Source:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    # Importing scikit-learn takes most of a second, and only this dataset needs it.
    from sklearn.datasets import load_digits as sklearn_digits  # noqa: PLC0415

    levels, targets = sklearn_digits(return_X_y=True)
    pixels = np.rint(levels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(targets.astype(np.int64))
    order = torch.randperm(len(images), generator=stream(0, "digits split"))
    train, test = (
        Split(images[rows], labels[rows])
        for rows in (order[:NUM_TRAIN].sort().values, order[NUM_TRAIN:].sort().values)
    )
    classes = tuple("0123456789")
    return ImageData(
        name="digits",
        classes=classes,
        encoding="array",
        train=train,
        test=test,
        digest=content_digest(classes, train, test),
    )
