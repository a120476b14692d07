"""What the native operators have in common: who computes them where, and how PyTorch sees them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from wider.errors import InputError


class Implementation(NamedTuple):
    """What computes an operator on a type of device.

    Attributes:
        forward: of the operator's arguments, of which images and values are contiguous floats of 32
            bits; gives new tensors on the same device, without a history.
        backward: the same of its backward pass, such as `wider::sparse_linear_backward`.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]


IMPLEMENTATIONS: dict[tuple[str, str], Implementation] = {}
"""By operator and type of device, such as ("sparse_linear", "cpu").

The operators are `sparse_linear`, `sparse_conv2d` and `batch_norm`; the compiled kernels are put in
here for the CPU. Another device takes a file of its own and a line beside theirs. Where an operator
has none, layers compute through PyTorch's operations and their dense weight: exact, and as slow as
masked ones.
"""


def implementation(operator: str, tensor: Tensor) -> Implementation:
    """What computes an operator where a tensor is."""
    return IMPLEMENTATIONS[operator, tensor.device.type]


def is_implemented(operator: str, tensor: Tensor) -> bool:
    """Whether an operator can be computed where a tensor is."""
    return (operator, tensor.device.type) in IMPLEMENTATIONS


# What `torch.library.custom_op` does, without its layers of Python around every call: they cost as
# much as a small layer.
_library = torch.library.Library("wider", "FRAGMENT")


def define(
    forward: Callable[..., Tensor],
    backward: Callable[..., Any],
    *,
    fakes: tuple[Callable[..., Any], Callable[..., Any]],
    remember: Callable[[Any, tuple, Any], None],
    gradients: Callable[..., tuple],
) -> Callable[..., Tensor]:
    """Makes PyTorch know an operator: its dispatcher, autograd, autocast and compilers.

    Args:
        forward: computes it, from tensors without a history; `wider::` and its name without the
            underscore are the operator's. Its first argument are the images.
        backward: computes the gradients; an operator as well.
        fakes: the same two for tensors that have shapes but no numbers.
        remember: keeps what the gradients need, as `torch.library.register_autograd` wants it.
        gradients: of all arguments, by a backward pass, what was kept, and the output's gradient.

    Returns:
        What layers call.
    """
    made = [_defined(*pair) for pair in zip((forward, backward), fakes, strict=True)]
    (name, operator), (_, backward_operator) = made
    _library.impl(name, _under_autocast(operator), "AutocastCPU")
    torch.library.register_autograd(
        f"wider::{name}",
        partial(gradients, backward_operator),
        setup_context=remember,
        lib=_library,
    )
    return _with_short_way(operator, forward, remember, partial(gradients, backward))


def _defined(
    function: Callable[..., Any], fake: Callable[..., Any]
) -> tuple[str, Callable[..., Any]]:
    name = function.__name__.removeprefix("_")
    _library.define(name + torch.library.infer_schema(function, mutates_args=()))
    _library.impl(name, function, "CompositeExplicitAutograd")
    torch.library.register_fake(f"wider::{name}", fake, lib=_library)
    return name, getattr(torch.ops.wider, name).default


def _under_autocast(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator's kernel for autocast on the CPU.

    It computes in float32, which is what native code does, and rounds the outputs to the type that
    autocast gives.
    """

    def kernel(images: Tensor, *others: object) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            outputs = operator(images.float(), *others)
        return outputs.to(torch.get_autocast_dtype("cpu"))

    return kernel


def _with_short_way(
    operator: Callable[..., Tensor],
    function: Callable[..., Tensor],
    remember: Callable[[Any, tuple, Any], None],
    gradients: Callable[..., tuple],
) -> Callable[..., Tensor]:
    """An operator that autograd reaches without the layers of Python that PyTorch makes for it.

    They cost more than a small layer's kernels. Compilers, exports and autocast need the operator
    itself and get it.
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
