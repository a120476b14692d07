"""What a net takes: a tensor, or several of them, by position or by name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""Of one forward pass: a tuple holds positional arguments, a mapping keyword arguments; anything
else is the only argument."""


def arguments(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and the keyword arguments that inputs stand for."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence):
        return inputs, {}
    return (inputs,), {}


def with_tensors(function: Callable[[Any], Any], value: Any) -> Any:
    """A copy in which each tensor is replaced by a function of it.

    Args:
        function: of a tensor or a `PackedSequence`.
        value: tensors in tuples, lists and mappings, however deep; what is none of these stays.
    """
    if isinstance(value, Tensor | PackedSequence):
        return function(value)
    if isinstance(value, Mapping):
        return {key: with_tensors(function, each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_tensors(function, each) for each in value))
    if isinstance(value, tuple | list):
        return type(value)(with_tensors(function, each) for each in value)
    return value


def tensors_in(value: Any) -> list[Any]:
    """The tensors and packed sequences of inputs, in their order."""
    found: list[Any] = []
    with_tensors(found.append, value)
    return found


def moved_to(net: nn.Module, value: Any) -> Any:
    """Inputs on the device of a net, and in its precision unless they are integers."""
    numbers = (each for each in net.parameters() if each.is_floating_point())
    like = next(numbers, torch.empty(0))

    def moved(tensor: Any) -> Any:
        # Integers are the names of tokens, and stay.
        dtype = like.dtype if tensor.data.is_floating_point() else None
        return tensor.to(device=like.device, dtype=dtype)

    return with_tensors(moved, value)


def described(value: Any) -> str:
    """The shapes and types of inputs, for a message."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {described(each)}" for key, each in value.items()) + "}"
    if isinstance(value, PackedSequence):
        return f"a packed {described(value.data)}"
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(described, value)) + ")"
    return repr(value)


@contextmanager
def attention_by_modules() -> Iterator[None]:
    """In which PyTorch's transformers call their layers, which their fast path would go around."""
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
