"""Which examples of a dataset are used."""

import torch
from jaxtyping import Int64
from torch import Tensor

from wider.data._dataset import Dataset
from wider.data._preprocessing import Preprocessing
from wider.errors import InputError
from wider.randomness import stream


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
