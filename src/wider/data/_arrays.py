"""Datasets of arrays that a user has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wider.data._dataset import Dataset
from wider.data._read_table import check_numbers
from wider.data._table import Rows, table_data
from wider.data._text import BYTES, of_tokens
from wider.data.images import Images, image_data
from wider.errors import InputError

Array = np.ndarray | Tensor
Pair = Array | tuple[Array, Array]

REMEDY = (
    "use (inputs, targets) with images as uint8 (n, height, width) or (n, channels, height, width) "
    "or features as floating-point numbers (n, features); or tokens alone, as whole numbers (n,)"
)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def from_arrays(
    train: Pair,
    test: Pair,
    *,
    validation: Array | None = None,
    name: str = "arrays",
    classes: Sequence[str] | None = None,
) -> Dataset:
    """A dataset of arrays of NumPy or tensors; a study names a function that returns one.

    Args:
        train: inputs and targets: images (uint8) with labels; features (floating point) with
            labels, or with numbers to be said, (n,) or (n, numbers), where the targets are of
            floating point. Or tokens alone, as whole numbers in a row.
        test: the same.
        validation: of tokens, those of a split for validation. Of images and features
            `num_validation` sets training examples aside.
        name: of the dataset.
        classes: the names of the classes of labels; 0, 1, ... by default.

    Raises:
        InputError: shapes, types or values do not go together.
    """
    if not isinstance(train, tuple):
        if isinstance(test, tuple) or classes is not None:
            raise InputError(f"train is tokens alone, and has no targets or classes: {REMEDY}")
        return _tokens({"train": train, "test": test, "validation": validation}, name)
    if validation is not None or not isinstance(test, tuple):
        raise InputError(
            "train has targets: give test the same, and for validation leave validation out and "
            "set num_validation training examples aside"
        )
    (inputs, targets), (test_inputs, test_targets) = (
        _pair(*pair, place=place) for pair, place in ((train, "train"), (test, "test"))
    )
    if inputs.shape[1:] != test_inputs.shape[1:] or targets.shape[1:] != test_targets.shape[1:]:
        raise InputError(
            f"examples of train and test have other shapes: {tuple(inputs.shape[1:])} and "
            f"{tuple(test_inputs.shape[1:])}, with targets {tuple(targets.shape[1:])} and "
            f"{tuple(test_targets.shape[1:])}: make them alike"
        )
    are_numbers = targets.is_floating_point()
    if are_numbers != test_targets.is_floating_point():
        raise InputError("targets of train and test are of other types: use one for both")
    names = None if are_numbers else _classes(targets, test_targets, classes)
    if inputs.dtype == torch.uint8 and names is not None:
        pairs = ((inputs, targets), (test_inputs, test_targets))
        first, second = (Images(_images(pixels), labels.long()) for pixels, labels in pairs)
        return image_data(name, classes=names, train=first, test=second)
    if inputs.dim() != 2 or not inputs.is_floating_point() or (are_numbers and classes):
        raise InputError(
            f"train is {inputs.dtype} of shape {tuple(inputs.shape)} with targets of "
            f"{targets.dtype}{' and classes' if classes else ''}: {REMEDY}"
        )
    return table_data(
        name,
        columns=[str(column) for column in range(inputs.shape[1])],
        target="target",
        classes=names,
        train=_rows(inputs, targets, "train"),
        test=_rows(test_inputs, test_targets, "test"),
    )


def _tensor(array: Any, place: str) -> Tensor:
    try:
        tensor = torch.as_tensor(array).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{place} is no array of numbers ({error}): {REMEDY}") from error
    if tensor.is_complex() or tensor.dtype == torch.bool or not tensor.numel():
        raise InputError(f"{place} is {tensor.dtype} of shape {tuple(tensor.shape)}: {REMEDY}")
    return tensor


def _pair(inputs: Any, targets: Any, *, place: str) -> tuple[Tensor, Tensor]:
    pair = _tensor(inputs, f"the inputs of {place}"), _tensor(targets, f"the targets of {place}")
    if pair[0].dim() < 2 or pair[1].dim() not in (1, 2) or len(pair[0]) != len(pair[1]):
        raise InputError(
            f"{place} has inputs of shape {tuple(pair[0].shape)} and targets of shape "
            f"{tuple(pair[1].shape)}: {REMEDY}"
        )
    return pair


def _images(pixels: Tensor) -> Tensor:
    if pixels.dim() == 3:
        return pixels.unsqueeze(1)
    if pixels.dim() != 4:
        raise InputError(f"images have the shape {tuple(pixels.shape)}: {REMEDY}")
    return pixels


def _classes(train: Tensor, test: Tensor, names: Sequence[str] | None) -> tuple[str, ...]:
    if train.dim() != 1 or train.dtype not in WHOLE:
        raise InputError(
            f"labels are {train.dtype} of shape {tuple(train.shape)}: use one whole number for "
            "each example, or floating-point numbers where these are to be said"
        )
    found = set(train.unique().tolist())
    if names is None and found != set(range(len(found))):
        raise InputError(
            f"the labels of train are {len(found)} different numbers from {min(found)} to "
            f"{max(found)}: number the classes from 0 to {len(found) - 1}, name them with classes, "
            "or use floating-point numbers where numbers are to be said"
        )
    known = tuple(map(str, range(len(found)) if names is None else names))
    wrong = [
        label for label in (found | set(test.unique().tolist())) if label not in range(len(known))
    ]
    if wrong or len(set(known)) < max(2, len(known)):
        shown = f"and there is the label {min(wrong)}" if wrong else "and two or more are needed"
        raise InputError(
            f"there are {len(known)} classes ({len(set(known))} different), {shown}: labels are 0 "
            f"to the number of classes less one, those of test among those of train"
        )
    return known


def _rows(inputs: Tensor, targets: Tensor, place: str) -> Rows:
    every = inputs.double()
    numbers = targets.double().reshape(len(targets), -1) if targets.is_floating_point() else None
    for column in range(every.shape[1]):
        check_numbers(every[:, column].numpy(), str(column), place)
    if numbers is None:
        return Rows(every, targets.long())
    for column in range(numbers.shape[1]):
        check_numbers(numbers[:, column].numpy(), f"target {column}", place)
    return Rows(every, numbers)


def _tokens(splits: dict[str, Any], name: str) -> Dataset:
    tokens = {split: _tensor(array, split) for split, array in splits.items() if array is not None}
    for split, found in tokens.items():
        if found.dim() != 1 or found.dtype not in WHOLE or int(found.min()) < 0:
            raise InputError(
                f"{split} is {found.dtype} of shape {tuple(found.shape)}, and tokens are whole "
                f"numbers from 0 in a row: {REMEDY}"
            )
    if len({found.dtype for found in tokens.values()}) > 1:
        tokens = {split: found.long() for split, found in tokens.items()}
    are_bytes = all(found.dtype == torch.uint8 for found in tokens.values())
    highest = max(int(found.max()) for found in tokens.values())
    vocabulary = BYTES if are_bytes else highest + 1
    return of_tokens(name, tokens, vocabulary=vocabulary, encoding="array")
