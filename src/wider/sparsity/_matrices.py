"""What a weight is: the matrices of a net, which its budget counts."""

import fnmatch
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wider.errors import InputError
from wider.native import SparseLayer
from wider.sparsity._mask import mask_of, stored_parameter
from wider.sparsity._rules import RULES, Piece, WeightLayer, is_linear_in_weight, kind_of, pieces_of

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
EXCLUDED = "_excluded_weights"  # attribute of a module: what of it is left out by name


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
        for piece in pieces_of(part):
            yield Matrix(".".join(filter(None, (name, piece.suffix))), part, piece)


def weight_layers(module: nn.Module) -> dict[str, WeightLayer]:
    """The linear and (transposed) convolutional layers of a net among what its budget counts.

    Args:
        module: any module.

    Returns:
        {qualified name: layer} in the order of the module; see `matrices` for what is left out.

    Raises:
        InputError: as `matrices`.
    """
    return {
        name: cast(WeightLayer, matrix.module)
        for name, matrix in matrices(module).items()
        if isinstance(matrix.module, WeightLayer)
    }


def stored_weight(layer: WeightLayer) -> Tensor:
    """The (first) parameter behind a layer's weight, before any parametrisation."""
    return stored_parameter(layer, "weight")


def tied_tensors(module: nn.Module) -> list[tuple[str, str]]:
    """Pairs of parameter names under which two different layers share one tensor."""
    first_name: dict[int, str] = {}
    pairs = []
    for module_name, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            full_name = f"{module_name}.{name}" if module_name else name
            if id(parameter) in first_name:
                pairs.append((first_name[id(parameter)], full_name))
            first_name.setdefault(id(parameter), full_name)
    return pairs


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
        covered = {piece.parameter for piece in pieces_of(part)}
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
