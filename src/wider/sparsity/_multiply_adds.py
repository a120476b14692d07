"""How much arithmetic a net does for its inputs."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode

from wider.errors import InputError
from wider.inputs import Inputs, arguments, attention_by_modules, described, moved_to
from wider.native import SparseLayer, SparseLinear
from wider.sparsity._matrices import Matrix
from wider.sparsity._rules import BUILT_IN_RULES, pieces_of, rule_of
from wider.sparsity._weights_in_memory import Owner, Place, WeightsInMemory

# {operation: which of its arguments is the first factor; the second one follows it}
FACTORS = {
    "aten::mm": 0, "aten::addmm": 1, "aten::_addmm_activation": 1, "aten::bmm": 0,
    "aten::baddbmm": 1, "aten::addbmm": 1, "aten::mv": 0, "aten::addmv": 1, "aten::dot": 0,
}  # fmt: skip
CONVOLUTION = "aten::convolution"
ATTENTION = "aten::_scaled_dot_product_"  # of every backend
GROUPED = ("aten::_grouped_mm", "transformers::grouped_mm_fallback")
COPIES = ("aten::clone", "aten::_to_copy", "aten::index")


def multiply_adds(module: nn.Module, inputs: Sequence[int] | Inputs) -> dict[str, int]:
    """The multiplications of a forward pass: of weights with numbers, and of attention.

    Weights that are masked or not stored count nothing; taps of a convolution that fall on padding
    count like others, and so do the products of attention that a mask leaves out. Equal numbers of
    weights are not equal arithmetic: a convolution uses each weight once per output position. Of
    experts, those count that a token is sent to. Looking up an embedding counts nothing, nor do
    products of single numbers, as in gates, normalisation and activation functions.

    Args:
        module: any module, which is left as it was.
        inputs: of one image, the shape, such as (3, 32, 32). Or what one forward pass takes, all of
            which is counted, be it a batch: a tensor, a tuple (positional arguments) or a mapping
            (keyword arguments). Tensors are moved to the net's device; integers stay integers.

    Returns:
        {name of a module: multiply-adds}, with the whole net's under "". Weights count under the
        module that holds them; the products of two activations, which attention consists of, under
        the module that runs them.

    Raises:
        InputError: the net does not take such inputs.

    Example:
        >>> multiply_adds(nn.Linear(4, 3), (4,))
        {'': 12}
        >>> attention = nn.MultiheadAttention(4, 2)
        >>> tokens = torch.zeros(5, 1, 4)  # 5 x 4 x 4 a projection, 2 x 5 x 5 x 4 of attention
        >>> multiply_adds(attention, (tokens, tokens, tokens))
        {'': 520, 'out_proj': 80}
    """
    found: Counter[str] = Counter()
    for (name, _), count in arithmetic(module, inputs).items():
        found[name] += count
    return dict(found) | {"": found.total()}


def arithmetic(module: nn.Module, inputs: Sequence[int] | Inputs) -> Counter[Owner]:
    """The multiply-adds of a forward pass by module and matrix.

    Layers that PyTorch computes as one are counted by a formula when they are called; within any
    other module each product of matrices is looked at as it is computed, since nothing else tells
    what attention, experts or a layer that is used without being called do.

    Args:
        module: any module.
        inputs: as `multiply_adds`.

    Returns:
        {(name of the module, place of the matrix): multiply-adds}; None is the place of products of
        two activations.

    Raises:
        InputError: the net does not take such inputs.
    """
    with (
        _in_eval_mode(module),
        _uncompiled(),
        torch.no_grad(),
        parametrize.cached(),
        attention_by_modules(),
    ):
        products = _Products(WeightsInMemory(module))
        handles = list(_hooks(module, products))
        try:
            _run(module, inputs, products)
        finally:
            for handle in handles:
                handle.remove()
    return products.found


class _Products(TorchDispatchMode):
    """Counts the multiply-adds of every product of matrices that is computed within it.

    Where one factor is weights, those that are kept count, under the name of their module. The
    product of two activations counts in full, under the name of the module that runs.

    Args:
        weights: of the net.

    Attributes:
        found: {(name of the module, what of it): multiply-adds}.
    """

    def __init__(self, weights: WeightsInMemory) -> None:
        super().__init__()
        self.found: Counter[Owner] = Counter()
        self._running: list[str] = []
        self._muted = 0
        self._weights = weights

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: PyTorch would import its compiler for it. `_uncompiled` is enough."""
        return False

    def enter(self, name: str, *, is_whole: bool) -> None:
        """A module starts.

        Args:
            name: of it.
            is_whole: whether it is counted as a whole, so that nothing is within it.
        """
        self._running.append(name)
        self._muted += is_whole
        self._weights.enter()

    def leave(self, *, is_whole: bool) -> None:
        """The last module that started ends."""
        self._running.pop()
        self._muted -= is_whole
        self._weights.leave()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Runs an operation and counts it."""
        name = func._schema.name
        if not self._is_counted(name):
            # In inference mode, linear and the like come in one piece.
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = func(*args, **(kwargs or {}))
        if not self._muted:
            self._count(name, args, kwargs or {}, result)
        return result

    def _is_counted(self, name: str) -> bool:
        is_attention = name.startswith(ATTENTION) and not name.endswith("attention_math")
        return is_attention or name in (*FACTORS, CONVOLUTION, *GROUPED)

    def _count(self, name: str, args: tuple, kwargs: dict, result: Any) -> None:
        if name in FACTORS:
            one, other = args[FACTORS[name] : FACTORS[name] + 2]
            self._add(one.numel() * (other.shape[-1] if other.dim() > 1 else 1), other, one)
        elif name == CONVOLUTION:
            images, weight, transposed = args[0], args[1], args[6]
            positions = images if transposed else result
            self._add(len(images) * positions.shape[2:].numel() * weight.numel(), weight)
        elif name in GROUPED:
            self._count_groups(args[1], args[2] if len(args) > 2 else kwargs["offs"])
        elif name in COPIES:
            self._weights.copied(args[0], result, args[1] if name == "aten::index" else None)
        elif self._is_counted(name):
            query, key, value = args[:3]
            rows = query.numel() // query.shape[-1]
            self._add(rows * key.shape[-2] * (query.shape[-1] + value.shape[-1]))

    def _count_groups(self, matrices: Tensor, ends: Tensor) -> None:
        """Of which each takes the rows up to its end, as experts take their tokens."""
        start = 0
        for matrix, end in zip(matrices.unbind(), ends.tolist(), strict=True):
            self._add((end - start) * matrix.numel(), matrix)
            start = end

    def _add(self, total: int, *factors: Tensor) -> None:
        """A product of so many multiply-adds, if it were in full."""
        if not total:
            return
        for factor in factors:
            if (kept := self._weights.kept(factor)) is not None:
                uses = total // factor.numel()
                self.found.update({owner: count * uses for owner, count in kept.items()})
                return
        self.found[self._running[-1], None] += total


def _hooks(module: nn.Module, products: _Products) -> Iterator[Any]:
    for name, part in module.named_modules():
        yield from _hooks_of(name, part, products)


def _hooks_of(name: str, part: nn.Module, products: _Products) -> Iterator[Any]:
    is_whole = _has_formula(part)

    def start(*_: Any) -> None:
        products.enter(name, is_whole=is_whole)

    def end(layer: nn.Module, args: tuple, keywords: dict, output: Any) -> None:
        products.leave(is_whole=is_whole)
        if is_whole:
            uses = _uses(layer, (*args, *keywords.values())[0], output)
            for place, kept in _kept(layer):
                products.found[name, place] += kept * uses

    yield part.register_forward_pre_hook(start)
    yield part.register_forward_hook(end, with_kwargs=True)


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    """In which no running statistics move."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _uncompiled() -> AbstractContextManager[None]:
    """In which compiled modules run as they were written.

    The compiler takes seconds to import; as long as nobody has, nothing is compiled.
    """
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def _run(module: nn.Module, inputs: Any, products: _Products) -> None:
    is_shape = _is_shape(inputs)
    try:
        taken = torch.zeros(1, *inputs) if is_shape else inputs
        args, keywords = arguments(moved_to(module, taken))
        with products:
            module(*args, **keywords)
    except InputError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_shape:
            message = (
                f"an image of shape {tuple(inputs)}: give other inputs themselves, not a shape"
            )
        else:
            message = f"the inputs {described(inputs)}"
        raise InputError(f"the net does not take {message} ({error})") from error


def _is_shape(inputs: Any) -> bool:
    return isinstance(inputs, Sequence) and all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in inputs
    )


def _has_formula(part: nn.Module) -> bool:
    kinds = nn.Linear | _ConvNd | nn.Bilinear | nn.RNNBase | nn.RNNCellBase
    # A subclass whose matrices someone else has told may do anything.
    is_known = isinstance(part, kinds) and rule_of(part) in BUILT_IN_RULES
    return is_known or isinstance(part, SparseLayer)


def _kept(layer: nn.Module) -> Iterator[tuple[Place, int]]:
    if isinstance(layer, SparseLayer):
        yield (id(layer.values), 0), layer.num_weights
        return
    for matrix in (Matrix("", layer, piece) for piece in pieces_of(layer)):
        yield matrix.place, matrix.kept


def _uses(layer: nn.Module, inputs: Tensor | PackedSequence, output: Any) -> int:
    """How often each weight is used for all of a batch."""
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):  # once a step, in every layer and direction
        steps = inputs.data
        return steps.numel() // steps.shape[-1]
    if isinstance(layer, nn.Linear | SparseLinear | nn.Bilinear):
        return output.numel() // output.shape[-1]
    positions = inputs.data if isinstance(layer, _ConvTransposeNd) else output
    weight: Any = layer if isinstance(layer, SparseLayer) else layer.weight
    dimensions = len(weight.shape)
    return positions.numel() // positions.shape[1 - dimensions]
