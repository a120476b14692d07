"""What the contract needs to know of a net of others."""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wider.randomness import default_generator_from, stream


@dataclass(frozen=True)
class Net:
    """A small, random net of others: nothing is fetched.

    Attributes:
        name: as the table shows it.
        source: the library that it is from.
        make: the net.
        inputs: of its forward, by keyword, from a generator.
        uncovered: patterns of the parameters that no rule covers.
        exclude: patterns of what must be left out before the net can be sparsified; where there
            are any, it is refused without.
    """

    name: str
    source: Literal["torch", "timm", "transformers"]
    make: Callable[[], nn.Module]
    inputs: Callable[[torch.Generator], dict[str, Tensor]]
    uncovered: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def build(self) -> nn.Module:
        """A fresh one with the same weights each time."""
        with default_generator_from(0, "tests"):
            return self.make()

    def outputs(self, net: nn.Module) -> Tensor:
        """Of the same inputs each time; several outputs in one tensor."""
        found = net(**self.inputs(stream(0, "inputs")))
        if isinstance(found, tuple):
            return torch.cat(found)
        return found if isinstance(found, Tensor) else found[0]

    def is_uncovered(self, parameter: str) -> bool:
        return any(fnmatchcase(parameter, pattern) for pattern in self.uncovered)


def images(generator: torch.Generator) -> dict[str, Tensor]:
    return {"x": torch.randn(2, 3, 32, 32, generator=generator)}


def tokens(generator: torch.Generator) -> Tensor:
    return torch.randint(3, 50, (2, 8), generator=generator)


@cache
def library(name: str) -> Any:
    """timm or transformers, imported when a test needs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _let_torchvision_import()
        return importlib.import_module(name)


@cache
def _let_torchvision_import() -> torch.library.Library | None:
    """Timm requires torchvision, and transformers imports it where it is installed.

    Its wheel is built for CUDA. Beside a CPU build of torch its compiled operators do not load,
    which torchvision forgives, but not that two of them, which it decorates, are then unknown. No
    net here calls them. They are declared rather than torchvision replaced by a stub: the rest is
    the real one, and where its operators load, nothing is declared.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None  # timm says that it is missing
    try:
        for compiled in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(str(compiled))
    except OSError:
        declared = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return declared  # kept in the cache: the declaration ends with it
    return None
