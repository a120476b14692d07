"""Exact numbers of weights, and every trainable tensor of a net: counted, or why not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import nn
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.inputs import Inputs
from wider.native import SparseLayer
from wider.sparsity._mask import mask_of, parametrizations_of
from wider.sparsity._matrices import (
    Matrix,
    embeddings,
    every_matrix,
    is_excluded,
    is_left_out,
    matrices,
)
from wider.sparsity._multiply_adds import arithmetic
from wider.sparsity._weights_in_memory import Place
from wider.text import aligned

Kind = Literal["weights", "excluded", "embedding", "not known"]
WORDS: dict[Kind, str] = {
    "weights": "",
    "excluded": "left out by name",
    "embedding": "an embedding, or tied to one",
    "not known": "no rule says that it is a matrix",
}
BESIDE: dict[Kind, str] = {
    "embedding": "in embeddings",
    "excluded": "left out by name",
    "not known": "in tensors that no rule covers",
}


def count_weights(module: nn.Module) -> int:
    """The exact number of weights that are trainable and not masked.

    Weights are the entries of matrices: of linear, bilinear and (transposed) convolutional layers,
    of attention's projections, of recurrent layers' gates; see `wider.sparsity.matrices`. Biases,
    normalisation parameters and embeddings are not counted, nor is what was excluded. Tied weights
    count once. Masked and native layers are counted alike.

    Args:
        module: any module.

    Returns:
        The number of weights.
    """
    return sum(layer.kept for layer in _counted(module).values())


def connectivity(module: nn.Module) -> dict[str, float]:
    """The part of its weights that each layer keeps: the paper's word for what others call density.

    Sparsity is what is left to 1.

    Args:
        module: any module with at least one weight layer.

    Returns:
        {name of the matrix, which is its layer's where that has one: kept weights / weights of the
        dense one}, with the whole net's under "".

    Raises:
        InputError: the net has no weight layer.
    """
    layers = _counted(module)
    if not layers:
        raise InputError("the net has no trainable weights to speak of")
    kept = sum(layer.kept for layer in layers.values())
    size = sum(layer.size for layer in layers.values())
    return {name: layer.kept / layer.size for name, layer in layers.items()} | {"": kept / size}


@dataclass(frozen=True)
class TensorSummary:
    """One trainable tensor of two or more dimensions, or one matrix of it.

    Attributes:
        name: of the matrix, or of the parameter where it is none.
        kind: "weights" are counted, all others are not.
        shape: output and input dimensions first.
        size: its entries.
        kept: those that are not removed.
        execution: "dense", "masked" or "native".
        multiply_adds: of its entries in a forward pass; None where no inputs were given.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    size: int
    kept: int
    execution: Literal["dense", "masked", "native"]
    multiply_adds: int | None = None

    @property
    def connectivity(self) -> float:
        """The part of its entries that is kept."""
        return self.kept / self.size


@dataclass(frozen=True)
class Summary:
    """What a net consists of; prints as a table.

    Attributes:
        tensors: in the order of the net.
        num_others: trainable numbers in tensors of one dimension: biases, normalisation.
        multiply_adds: of a forward pass, those of frozen tensors among them; None where no inputs
            were given.
        products: those of them that are products of two activations, as in attention.
    """

    tensors: tuple[TensorSummary, ...]
    num_others: int
    multiply_adds: int | None = None
    products: int | None = None

    def total(self, kind: Kind) -> int:
        """The entries that are kept in all tensors of a kind."""
        return sum(tensor.kept for tensor in self.tensors if tensor.kind == kind)

    @property
    def num_weights(self) -> int:
        """What the budget counts."""
        return self.total("weights")

    def __str__(self) -> str:
        rows = [self._header(), *map(self._row, self.tensors)]
        lines = aligned(rows)
        beside = [
            f"{self.total(kind):,} {words}" for kind, words in BESIDE.items() if self.total(kind)
        ]
        if self.num_others:
            beside.append(f"{self.num_others:,} in biases and other vectors")
        total = f"{self.num_weights:,} weights"
        lines.append(f"{total}; beside them {', '.join(beside)}" if beside else total)
        return "\n".join([*lines, *self._arithmetic()])

    def _header(self) -> tuple[str, ...]:
        columns = ("tensor", "shape", "kept", "connectivity", "execution")
        counted = () if self.multiply_adds is None else ("multiply-adds",)
        return (*columns, *counted, "not counted")

    def _row(self, tensor: TensorSummary) -> tuple[str, ...]:
        cells = (
            tensor.name or "(the net)",
            " x ".join(map(str, tensor.shape)),
            f"{tensor.kept:,}",
            f"{tensor.connectivity:.3g}",
            tensor.execution,
        )
        counted = () if tensor.multiply_adds is None else (f"{tensor.multiply_adds:,}",)
        return (*cells, *counted, WORDS[tensor.kind])

    def _arithmetic(self) -> list[str]:
        if self.multiply_adds is None or self.products is None:
            return []
        shown = sum(tensor.multiply_adds or 0 for tensor in self.tensors)
        parts = {
            "in products of activations (attention)": self.products,
            "in frozen tensors": self.multiply_adds - self.products - shown,
        }
        among = [f"{count:,} {words}" for words, count in parts.items() if count]
        total = f"{self.multiply_adds:,} multiply-adds"
        return [f"{total}; among them {', '.join(among)}" if among else total]


def summary(module: nn.Module, inputs: Sequence[int] | Inputs | None = None) -> Summary:
    """Every trainable tensor of a net, and whether the budget counts it.

    Args:
        module: any module.
        inputs: of which the multiply-adds are counted, as `multiply_adds` takes them: the shape of
            one image, or a tensor, a tuple (positional arguments) or a mapping (keyword arguments).

    Returns:
        The tensors as data; `print` shows them as a table.

    Raises:
        InputError: as `matrices`; the net does not take such inputs.

    Example:
        >>> print(summary(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))))
        tensor    shape  kept  connectivity  execution  not counted
        0.weight  9 x 4  36    1             dense      an embedding, or tied to one
        1         2 x 4  8     1             dense
        8 weights; beside them 36 in embeddings, 2 in biases and other vectors
    """
    tensors = _tensors(module)
    vectors = {id(p): p for p in module.parameters() if p.requires_grad and p.dim() < 2}
    others = sum(p.numel() for p in vectors.values())
    if inputs is None:
        return Summary(tuple(each for _, each in tensors), others)
    counts: Counter[Place | None] = Counter()
    for (_, place), count in arithmetic(module, inputs).items():
        counts[place] += count
    told = (replace(each, multiply_adds=counts[place]) for place, each in tensors)
    return Summary(tuple(told), others, counts.total(), counts[None])


def _tensors(module: nn.Module) -> list[tuple[Place, TensorSummary]]:
    by_module: dict[nn.Module, list[Matrix]] = {}
    for matrix in _listed(module):
        by_module.setdefault(matrix.module, []).append(matrix)
    bare = _bare_tensors(module)
    tensors: list[tuple[Place, TensorSummary]] = []
    for name, part in module.named_modules():
        tensors += [(each.place, _of_matrix(each)) for each in by_module.get(part, ())]
        if isinstance(part, SparseLayer):
            tensors += [((id(part.values), 0), each) for each in _of_native(name, part)]
        tensors += bare.get(name, ())
    return tensors


def uncounted(module: nn.Module) -> dict[str, int]:
    """Trainable tensors of two or more dimensions that no rule covers, such as learned positions.

    Args:
        module: any module.

    Returns:
        {name of the parameter: its entries}, without what was excluded by name.
    """
    return {
        each.name: each.size
        for found in _bare_tensors(module).values()
        for _, each in found
        if each.kind == "not known"
    }


def num_embedded(module: nn.Module) -> int:
    """The trainable entries of embeddings and of what is tied to them."""
    return sum(weight.numel() for weight in embeddings(module).values() if weight.requires_grad)


def _listed(module: nn.Module) -> Iterator[Matrix]:
    """Those that are counted, and the trainable ones that are left out by name; tied ones once.

    What a hook recomputes is no parameter, and what is tied to an embedding is listed as one.
    """
    counted = matrices(module)
    seen = {(key, 0) for key in embeddings(module)}
    for matrix in every_matrix(module):
        is_left = is_excluded(matrix) and isinstance(matrix.stored, nn.Parameter)
        is_left = is_left and matrix.stored.requires_grad and matrix.place not in seen
        if matrix.name in counted or is_left:
            seen.add(matrix.place)
            yield matrix


def _of_matrix(matrix: Matrix) -> TensorSummary:
    kind: Kind = "excluded" if is_excluded(matrix) else "weights"
    is_masked = mask_of(matrix.module, matrix.piece.parameter) is not None
    execution = "masked" if is_masked else "dense"
    return TensorSummary(matrix.name, kind, matrix.shape, matrix.size, matrix.kept, execution)


def _of_native(name: str, layer: SparseLayer) -> list[TensorSummary]:
    kind: Kind = "excluded" if is_left_out(layer, "") else "weights"
    if kind == "weights" and not layer.values.requires_grad:
        return []
    size = layer.shape.numel()
    return [TensorSummary(name, kind, tuple(layer.shape), size, layer.num_weights, "native")]


def _bare_tensors(module: nn.Module) -> dict[str, list[tuple[Place, TensorSummary]]]:
    """Those that are no matrices, by the module that holds them; tied ones once."""
    covered = set()
    for matrix in every_matrix(module):
        if parametrize.is_parametrized(matrix.module, matrix.piece.parameter):
            steps = parametrizations_of(matrix.module, matrix.piece.parameter)
            covered |= {id(parameter) for parameter in steps.parameters()}
        covered.add(id(matrix.stored))
    covered |= {id(part.values) for part in module.modules() if isinstance(part, SparseLayer)}
    embedded = set(embeddings(module))
    found: dict[str, list[tuple[Place, TensorSummary]]] = {}
    for name, part in module.named_modules():
        for own, parameter in part.named_parameters(recurse=False):
            is_embedding = id(parameter) in embedded
            if parameter.dim() < 2 or not parameter.requires_grad:
                continue
            if id(parameter) in covered and not is_embedding:
                continue
            covered.add(id(parameter))
            embedded.discard(id(parameter))
            kind: Kind = "embedding" if is_embedding else "not known"
            if is_left_out(part, own):
                kind = "excluded"
            full, shape = f"{name}.{own}".removeprefix("."), tuple(parameter.shape)
            size = parameter.numel()
            bare = TensorSummary(full, kind, shape, size, size, "dense")
            found.setdefault(name, []).append(((id(parameter), 0), bare))
    return found


class _Counted(NamedTuple):
    kept: int
    size: int


def _counted(module: nn.Module) -> dict[str, _Counted]:
    """The layers with trainable weights in the order of the module; tied ones once."""
    by_module: dict[nn.Module, list[Matrix]] = {}
    for matrix in matrices(module).values():
        by_module.setdefault(matrix.module, []).append(matrix)
    found = {}
    for name, part in module.named_modules():
        if (
            isinstance(part, SparseLayer)
            and part.values.requires_grad
            and not is_left_out(part, "")
        ):
            found[name] = _Counted(part.num_weights, part.shape.numel())
        for matrix in by_module.get(part, ()):
            found[matrix.name] = _Counted(matrix.kept, matrix.size)
    return found
