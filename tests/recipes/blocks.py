"""The blocks of docs/recipes.md, by the heading that they stand under."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wider.randomness import default_generator_from
from wider.sparsity import mask_of, matrices

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "recipes.md").read_text()
BLOCKS = {
    heading: re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    for heading, section in re.findall(
        r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE
    )
}


def executed(heading: str, folder: Path) -> Any:
    """The names that a recipe leaves, run in a folder of its own."""
    (block,) = BLOCKS[heading]
    names: dict[str, Any] = {"__name__": "recipe"}
    with pytest.MonkeyPatch.context() as patch, default_generator_from(0, "tests"):
        patch.chdir(folder)
        exec(block, names)
    return type("Names", (), names)


def removed(layer: nn.Module, parameter: str = "weight") -> Tensor:
    """True where a masked layer has no weight."""
    mask = mask_of(layer, parameter)
    assert mask is not None
    return ~mask


def assert_same(one: nn.Module, other: nn.Module) -> None:
    """Bit for bit, names, masks and weights."""
    first, second = one.state_dict(), other.state_dict()
    assert list(first) == list(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def assert_zeros_in_place(net: nn.Module) -> None:
    """In every removed place, of which there are some."""
    masked = [matrix for matrix in matrices(net).values() if matrix.mask is not None]
    assert masked
    assert any(matrix.kept < matrix.size for matrix in masked)
    for matrix in masked:
        weight = getattr(matrix.module, matrix.piece.parameter)
        gone = removed(matrix.module, matrix.piece.parameter)
        assert (weight[gone] == 0).all()
        assert (weight[~gone] != 0).all()
