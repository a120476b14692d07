"""What a weight is: the matrices of a net, found through a registry of rules."""

import fnmatch
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.native import SparseLayer
from wider.sparsity._kind import kind_of
from wider.sparsity._linear_in_weight import is_linear_in_weight
from wider.sparsity._mask import Mask

WeightLayer = (
    nn.Linear
    | nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
EXCLUDED = "_excluded_weights"  # attribute of a module: what of it is left out by name


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


@dataclass(frozen=True)
class Matrix:
    """One matrix of weights in a net.

    Attributes:
        name: of its module, and of the matrix in it where that has several.
        module: that holds it.
        piece: which part of the module it is.
    """

    name: str
    module: nn.Module
    piece: Piece

    @property
    def stored(self) -> nn.Parameter:
        """The whole parameter that holds it, before any parametrisation."""
        return stored_parameter(self.module, self.piece.parameter)

    @property
    def place(self) -> tuple[int, int]:
        """The same for matrices that share their entries."""
        return id(self.stored), self.piece.first

    @property
    def shape(self) -> tuple[int, ...]:
        """Output and input dimensions first, then the kernel's."""
        return self.piece.shape or (self._last - self.piece.first, *self._whole.shape[1:])

    @property
    def size(self) -> int:
        """Its entries, removed ones among them."""
        return math.prod(self.shape)

    @property
    def mask(self) -> Bool[Tensor, "..."] | None:
        """Of its rows, True where a weight is kept; None where the parameter has no mask."""
        mask = mask_of(self.module, self.piece.parameter)
        return None if mask is None else mask[self.rows]

    @property
    def kept(self) -> int:
        """Its weights that are not removed."""
        mask = self.mask
        return self.size if mask is None else int(torch.count_nonzero(mask))

    @property
    def rows(self) -> slice:
        """Of the parameter."""
        return slice(self.piece.first, self._last)

    @property
    def _last(self) -> int:
        last = self.piece.last
        return len(self._whole) if last is None else last

    @property
    def _whole(self) -> Tensor:
        """A tensor of the shape that its module computes with."""
        is_plain = mask_of(self.module, self.piece.parameter) is not None
        return self.stored if is_plain else getattr(self.module, self.piece.parameter)


def matrices(module: nn.Module) -> dict[str, Matrix]:
    """The matrices of trainable weights of a net, which its budget counts.

    Embeddings and what is tied to one are none, nor is what was excluded by name or is frozen.

    Args:
        module: any module.

    Returns:
        {name: matrix} in the order of the module. What is reached under several names, or tied, is
        there once.

    Raises:
        InputError: a module does not know its shape yet, recomputes its weight, or is a subclass
            whose outputs are not linear in what it stores.
    """
    embedded = embeddings(module)
    every = list(every_matrix(module))
    # What is left out under one name is left out under all that share it.
    seen = {matrix.place for matrix in every if is_excluded(matrix)}
    found: dict[str, Matrix] = {}
    for matrix in every:
        is_counted = matrix.stored.requires_grad and id(matrix.stored) not in embedded
        if is_counted and matrix.place not in seen:
            seen.add(matrix.place)
            found[matrix.name] = matrix
    return found


def embeddings(module: nn.Module) -> dict[int, Tensor]:
    """The weights of embeddings by their identity, by which what is tied to one is known."""
    parts = [part for part in module.modules() if isinstance(part, EMBEDDINGS)]
    return {id(part.weight): part.weight for part in parts}


def every_matrix(module: nn.Module) -> Iterator[Matrix]:
    """Frozen, tied, embedded and excluded ones, too."""
    for matrix in all_matrices(module):
        if not is_excluded(matrix):
            _check(matrix)
        yield matrix


def all_matrices(module: nn.Module) -> Iterator[Matrix]:
    """The matrices of all modules that a rule covers, counted or not, refused ones among them."""
    for name, part in module.named_modules():
        for piece in (rule_of(part) or _no_pieces)(part):
            yield Matrix(".".join(filter(None, (name, piece.suffix))), part, piece)


def exclude(module: nn.Module, patterns: Sequence[str]) -> None:
    """Leaves matrices out of the budget: they are neither counted nor sparsified.

    Args:
        module: any module, which remembers it.
        patterns: of their names, such as "head" or "*.mlp.*"; a pattern that names a module leaves
            out all in it.

    Raises:
        InputError: a pattern matches nothing.
    """
    # Of modules that are refused, too: those can be excluded.
    known = {each.name: (each.module, each.piece.suffix) for each in all_matrices(module)}
    known |= {
        name: (part, "") for name, part in module.named_modules() if isinstance(part, SparseLayer)
    }
    known |= {name: (part, mark) for name, part, mark in _other_tensors(module)}
    marks = []
    for pattern in patterns:
        named = [place for name, place in known.items() if _matches(name, pattern)]
        if not named:
            names = ", ".join(map(repr, known)) or "none"
            raise InputError(f"exclude has {pattern!r}, which matches no matrix; there are {names}")
        marks += named
    for part, mark in marks:
        setattr(part, EXCLUDED, getattr(part, EXCLUDED, frozenset()) | {mark})


def _other_tensors(module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Tensors of two or more dimensions that no rule covers, those beside a matrix, too."""
    for name, part in module.named_modules():
        covered = {piece.parameter for piece in (rule_of(part) or _no_pieces)(part)}
        if isinstance(part, SparseLayer):
            continue
        for own, parameter in part.named_parameters(recurse=False):
            if own not in covered and not is_lazy(parameter) and parameter.dim() > 1:
                yield f"{name}.{own}".removeprefix("."), part, own


def is_excluded(matrix: Matrix) -> bool:
    """Whether `exclude` left it out."""
    return is_left_out(matrix.module, matrix.piece.suffix)


def is_left_out(module: nn.Module, mark: str) -> bool:
    """Whether `exclude` left out a matrix of that suffix, or a tensor of that name."""
    return mark in getattr(module, EXCLUDED, frozenset())


def stored_parameter(module: nn.Module, parameter: str) -> nn.Parameter:
    """The (first) parameter behind an attribute, before any parametrisation."""
    if parametrize.is_parametrized(module, parameter):
        return next(parametrizations_of(module, parameter).parameters())
    return cast(nn.Parameter, getattr(module, parameter))


def parametrizations_of(
    module: nn.Module, parameter: str = "weight"
) -> parametrize.ParametrizationList:
    """The parametrisations of a parametrised tensor."""
    steps = cast(nn.ModuleDict, module.parametrizations)[parameter]
    return cast(parametrize.ParametrizationList, steps)


def mask_of(module: nn.Module, parameter: str = "weight") -> Bool[Tensor, "..."] | None:
    """The mask on a parameter.

    Args:
        module: any module.
        parameter: of it.

    Returns:
        The mask, shaped like the parameter, or None where it is not sparse.
    """
    if not parametrize.is_parametrized(module, parameter):
        return None
    steps = (step for step in parametrizations_of(module, parameter) if isinstance(step, Mask))
    return next((step.mask for step in steps), None)


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


def _rule_by_name(kind: type) -> Rule | None:
    """Of modules of transformers, which is not imported for it."""
    if not kind.__module__.startswith("transformers."):
        return None
    return next(
        (rule for ending, rule in TRANSFORMERS.items() if kind.__name__.endswith(ending)), None
    )


def _check(matrix: Matrix) -> None:
    module, parameter = matrix.module, matrix.piece.parameter
    if is_lazy(stored_parameter(module, parameter)):
        raise InputError(
            f"layer {matrix.name!r} does not know its shape yet: run one batch through the net "
            "first"
        )
    if not isinstance(matrix.stored, nn.Parameter):
        raise InputError(
            f"the weight of layer {matrix.name!r} is recomputed by a hook (weight_norm, "
            "spectral_norm, prune): use torch.nn.utils.parametrizations, remove the hook, or leave "
            f"the layer out with exclude=[{matrix.name!r}]"
        )
    kind = kind_of(module)
    base = next((base for base in kind.__mro__ if base in RULES), kind)
    if mask_of(module, parameter) is not None:
        return  # it was tried before it was masked
    if kind.forward is not base.forward and not is_linear_in_weight(module):
        raise InputError(
            f"layer {matrix.name!r} is a {kind.__name__}, a {base.__name__} whose outputs are not "
            "linear in the weight that it stores, so that a removed weight would not stay removed: "
            f"leave it out with exclude=[{matrix.name!r}], or say what its weights are with "
            "wider.sparsity.register"
        )


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")


def _no_pieces(_: nn.Module) -> Iterable[Piece]:
    return ()


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
