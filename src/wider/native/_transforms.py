"""What PyTorch does to nets beyond computing them, where the native operators need its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from wider.errors import InputError


def is_transformed() -> bool:
    """Whether a transform of `torch.func` or forward-mode differentiation is under way.

    Operators of our own would lose its tangents without a word, and refuse the rest.
    """
    # PyTorch has no public question for either; tests hold both answers.
    return forward_ad._current_level >= 0 or peek_interpreter_stack() is not None


# All that `torch.compiler.assume_constant_result` does, but that it would load the compiler, which
# takes as long as PyTorch.
vars(is_transformed)["_dynamo_marked_constant"] = True


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], gradient: Tensor
) -> list[Tensor | None]:
    """Gradients that can be differentiated themselves.

    Args:
        function: in PyTorch's operations, of all inputs.
        inputs: of it.
        gradient: of its output.

    Returns:
        Of each input; None where it wants none.
    """
    # By aliases: an input may depend on another one, which is not this function's business.
    aliases = [each.view_as(each) for each in inputs]
    wanted = [each for each in aliases if each.requires_grad]
    if not wanted:
        return [None] * len(aliases)
    found = iter(torch.autograd.grad(function(*aliases), wanted, gradient, create_graph=True))
    return [next(found) if each.requires_grad else None for each in aliases]


def refuse_onnx() -> None:
    """Ends an export to ONNX, which has no operators such as ours; other exports go on."""
    if torch.onnx.is_in_onnx_export():
        raise InputError(
            "ONNX has no operators for native layers: call wider.sparsity.to_masked on the net "
            "(or on a copy of it) and export that"
        )
