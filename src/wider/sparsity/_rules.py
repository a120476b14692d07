"""What of a module is a matrix of weights: a registry of rules, by its class."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from wider.randomness import stream
from wider.sparsity._mask import stored_parameter

WeightLayer = (
    nn.Linear
    | nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
)
TOLERANCE = 1e-3  # of the largest output, for float32


@dataclass(frozen=True)
class Piece:
    """One matrix of a module, as a rule tells it.

    Attributes:
        parameter: that holds it, such as "weight".
        suffix: of its name after the module's; empty where the module has one matrix only.
        first: of the parameter's first dimension, where the matrix begins,
        last: and where it ends; None for the whole parameter.
        bias: the parameter that is scaled with it, in the same rows; None where there is none.
        shape: output and input dimensions first, then the kernel's; None for the tensor's own.
    """

    parameter: str
    suffix: str = ""
    first: int = 0
    last: int | None = None
    bias: str | None = None
    shape: tuple[int, ...] | None = None


Rule = Callable[[Any], Iterable[Piece]]


def register(kind: type[nn.Module], rule: Rule) -> None:
    """Says what the matrices of a kind of module are.

    Args:
        kind: of module; its subclasses that keep its `forward` follow it.
        rule: from such a module to its pieces.

    Example:
        >>> register(Factors, lambda layer: [Piece("left", "left"), Piece("right", "right")])
    """
    RULES[kind] = rule


def rule_of(module: nn.Module) -> Rule | None:
    """What tells the matrices of a module; None where nothing does."""
    kind = kind_of(module)
    known = next((base for base in kind.__mro__ if base in RULES), None)
    return RULES[known] if known else _rule_by_name(kind)


def pieces_of(module: nn.Module) -> Iterable[Piece]:
    """The matrices of a module itself, counted or not; none where no rule covers it."""
    rule = rule_of(module)
    return () if rule is None else rule(module)


def _rule_by_name(kind: type) -> Rule | None:
    """Of modules of transformers, which is not imported for it."""
    if not kind.__module__.startswith("transformers."):
        return None
    return next(
        (rule for ending, rule in TRANSFORMERS.items() if kind.__name__.endswith(ending)), None
    )


def kind_of(module: nn.Module) -> type[nn.Module]:
    """The class that a module was made as, before masks and FSDP's `fully_shard` derived another.

    Args:
        module: any module.
    """
    kind = type(module)
    if kind.__bases__[0].__name__ == "FSDPModule":  # by name, as its import takes a second
        kind = kind.__bases__[1]
    return kind.__bases__[0] if parametrize.is_parametrized(module) else kind


def is_linear_in_weight(layer: Any) -> bool:
    """Tries it: outputs by a sum of two weights are the sum of their outputs.

    Then a weight of zero has no effect, as one that is removed must have none. A layer that
    standardises or normalises its weight fails.

    Args:
        layer: a linear or convolutional layer, which is left as it was; any other is not tried.

    Returns:
        Whether it is; not where the layer cannot be tried.
    """
    if not isinstance(layer, nn.Linear | _ConvNd):
        return False
    if layer.weight.is_meta:
        return True  # nothing can be tried without numbers; a real one is
    generator = stream(0, "probe")
    like = {"device": layer.weight.device, "dtype": layer.weight.dtype}

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(**like)

    one, other = (drawn(*layer.weight.shape) for _ in range(2))
    inputs = drawn(*_input_shape(layer))

    def outputs(weight: Tensor) -> Tensor:
        return functional_call(layer, {"weight": weight}, (inputs,))

    was_training = layer.training
    layer.eval()
    try:
        with torch.no_grad():
            offset = outputs(torch.zeros_like(one))
            parts = outputs(one) + outputs(other) - offset
            whole = outputs(one + other)
    except (RuntimeError, ValueError, TypeError):
        return False
    finally:
        layer.train(was_training)
    return bool((parts - whole).abs().max() <= TOLERANCE * whole.abs().max())


def _input_shape(layer: nn.Linear | _ConvNd) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return (2, layer.in_features)
    sides = (
        dilation * (kernel - 1) + 1 + stride
        for kernel, dilation, stride in zip(
            layer.kernel_size, layer.dilation, layer.stride, strict=True
        )
    )
    return (1, layer.in_channels, *sides)


def _whole(module: Any) -> Iterable[Piece]:
    yield Piece("weight", bias=None if module.bias is None else "bias")


def _bilinear(module: nn.Bilinear) -> Iterable[Piece]:
    shape = (module.out_features, module.in1_features * module.in2_features)
    yield Piece("weight", bias=None if module.bias is None else "bias", shape=shape)


def _attention(module: nn.MultiheadAttention) -> Iterable[Piece]:
    size = module.embed_dim
    bias = None if module.in_proj_bias is None else "in_proj_bias"
    for number, name in enumerate("qkv"):
        if module.in_proj_weight is not None:
            yield Piece("in_proj_weight", name, number * size, (number + 1) * size, bias)
        else:
            yield Piece(f"{name}_proj_weight", name)


def _recurrent(module: nn.RNNBase | nn.RNNCellBase) -> Iterable[Piece]:
    """Each gate's matrices."""
    kind = kind_of(module).__name__
    gates = GATES.get(str(getattr(module, "mode", kind)), ("",))
    for parameter, _ in _parameters_before(module):
        if not parameter.startswith("weight"):
            continue
        bias = parameter.replace("weight", "bias", 1)
        bias = bias if hasattr(module, bias) and getattr(module, "bias", True) else None
        if "_hr_" in parameter:  # a projection, which has no gates
            yield Piece(parameter, parameter)
            continue
        size = module.hidden_size
        for number, gate in enumerate(gates):
            suffix = ".".join(filter(None, (parameter, gate)))
            yield Piece(parameter, suffix, number * size, (number + 1) * size, bias)


def _parameters_before(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Its own parameters by the names that they had before any parametrisation."""
    own = dict(module.named_parameters(recurse=False))
    parametrized = list(getattr(module, "parametrizations", {}))
    for name in [*own, *parametrized]:
        yield name, stored_parameter(module, name)


def _stacked(module: nn.Module) -> Iterable[Piece]:
    """Experts: a matrix for each in tensors of three dimensions."""
    for name, tensor in _parameters_before(module):
        if tensor.dim() == 3:
            shape = tuple(tensor.shape[1:])
            for number in range(len(tensor)):
                yield Piece(name, f"{name}.{number}", number, number + 1, shape=shape)


def _router(module: nn.Module) -> Iterable[Piece]:
    weight = dict(_parameters_before(module)).get("weight")
    if weight is not None and weight.dim() == 2:
        yield Piece("weight")


GATES = {
    "LSTM": ("i", "f", "g", "o"),
    "GRU": ("r", "z", "n"),
    "LSTMCell": ("i", "f", "g", "o"),
    "GRUCell": ("r", "z", "n"),
}
RULES: dict[type, Rule] = {
    **dict.fromkeys(get_args(WeightLayer), _whole),
    nn.Bilinear: _bilinear,
    nn.MultiheadAttention: _attention,
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell), _recurrent),
}
BUILT_IN_RULES = tuple(RULES.values())
# By the end of the name of a class.
TRANSFORMERS: dict[str, Rule] = {"Conv1D": _whole, "Experts": _stacked, "Router": _router}
