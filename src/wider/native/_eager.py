"""The short way to an operator where PyTorch computes at once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def with_short_way(
    operator: Callable[..., Tensor],
    function: Callable[..., Tensor],
    remember: Callable[[Any, tuple, Any], None],
    gradients: Callable[..., tuple],
) -> Callable[..., Tensor]:
    """An operator that autograd reaches without the layers of Python that PyTorch makes for it.

    They cost more than a small layer's kernels. Compilers, exports and autocast need the operator
    itself and get it.

    Args:
        operator: as PyTorch knows it; its first argument is a tensor.
        function: that computes it, from tensors without a history.
        remember: keeps what the gradients need, as `torch.library.register_autograd` wants it.
        gradients: of all arguments.
    """

    class ShortWay(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Tensor:
            remember(ctx, arguments, None)
            return function(*map(_without_history, arguments))

        @staticmethod
        def backward(ctx: Any, *outputs: Any) -> tuple:
            return gradients(ctx, *outputs)

    def call(first: Tensor, *others: Any) -> Tensor:
        is_plain = type(first) is Tensor and not torch.compiler.is_compiling()
        if not is_plain or torch.is_autocast_enabled("cpu"):
            return operator(first, *others)
        if torch.is_grad_enabled():
            return ShortWay.apply(first, *others)
        return function(first, *others)

    return call


def _without_history(argument: Any) -> Any:
    # Others must stay the objects that they are: what is known of a layer is found by them.
    is_parameter = isinstance(argument, Tensor) and argument.requires_grad
    return argument.detach() if is_parameter else argument
