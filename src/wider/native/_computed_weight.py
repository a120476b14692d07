"""Weights that are computed, so that writing to them would be lost."""

from typing import Any

import torch
from torch import Tensor

from wider.errors import InputError

# Methods of a tensor that write to it, but for those that change no number.
HARMLESS = {"requires_grad_", "detach_", "share_memory_", "rename_"}
OPERATORS = ["add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift"]
OPERATORS += ["sub", "truediv", "xor"]
WRITING = {name for name in dir(Tensor) if name.endswith("_") and not name.endswith("__")}
WRITING = WRITING - HARMLESS | {f"__i{name}__" for name in OPERATORS} | {"__setitem__"}


class ComputedWeight(Tensor):
    """A weight that a sparse layer makes anew each time: writes to it raise.

    What is computed from it is a plain tensor, so a write through a view of it
    (`layer.weight.view(-1).zero_()`, `layer.weight.detach().add_(1)`) cannot be told and is lost:
    write `layer.weight = tensor`.
    """

    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @property
    def data(self) -> Tensor:
        """The same without its history."""
        return self.detach().as_subclass(ComputedWeight)

    @data.setter
    def data(self, _: Tensor) -> None:
        _refuse_to_write(self)


def _refuse_to_write(weight: ComputedWeight, *_: object, **__: object) -> None:
    raise InputError(
        f"this weight of {tuple(weight.shape)} is computed from what a sparse layer stores, so "
        "what is written to it would be lost: assign it whole (layer.weight = tensor, of a masked "
        "layer), call layer.reset_parameters(), or start from wider.to_dense(net)"
    )


for _name in WRITING:
    setattr(ComputedWeight, _name, _refuse_to_write)


def computed_weight(weight: Tensor) -> Tensor:
    """The same weight, but that writes to it raise wherever PyTorch allows it.

    Args:
        weight: made for this one use.
    """
    # A compiler sees plain tensors only, and so do torch's function transforms.
    if torch.compiler.is_compiling() or type(weight) is not Tensor:
        return weight
    return weight.as_subclass(ComputedWeight)
