"""Every trainable tensor of a net: counted, or why not."""

from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.utils import parametrize

from wider.native import SparseLayer
from wider.sparsity._matrices import (
    Matrix,
    embeddings,
    every_matrix,
    is_excluded,
    is_left_out,
    mask_of,
    matrices,
    parametrizations_of,
)

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
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    size: int
    kept: int
    execution: Literal["dense", "masked", "native"]

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
    """

    tensors: tuple[TensorSummary, ...]
    num_others: int

    def total(self, kind: Kind) -> int:
        """The entries that are kept in all tensors of a kind."""
        return sum(tensor.kept for tensor in self.tensors if tensor.kind == kind)

    @property
    def num_weights(self) -> int:
        """What the budget counts."""
        return self.total("weights")

    def __str__(self) -> str:
        header = ("tensor", "shape", "kept", "connectivity", "execution", "not counted")
        rows = [
            (
                tensor.name or "(the net)",
                " x ".join(map(str, tensor.shape)),
                f"{tensor.kept:,}",
                f"{tensor.connectivity:.3g}",
                tensor.execution,
                WORDS[tensor.kind],
            )
            for tensor in self.tensors
        ]
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [header, *rows]
        ]
        beside = [
            f"{self.total(kind):,} {words}" for kind, words in BESIDE.items() if self.total(kind)
        ]
        if self.num_others:
            beside.append(f"{self.num_others:,} in biases and other vectors")
        total = f"{self.num_weights:,} weights"
        return "\n".join([*lines, f"{total}; beside them {', '.join(beside)}" if beside else total])


def summary(module: nn.Module) -> Summary:
    """Every trainable tensor of a net, and whether the budget counts it.

    Args:
        module: any module.

    Returns:
        The tensors as data; `print` shows them as a table.

    Raises:
        InputError: as `matrices`.

    Example:
        >>> print(summary(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))))
        tensor    shape  kept  connectivity  execution  not counted
        0.weight  9 x 4  36    1             dense      an embedding, or tied to one
        1         2 x 4  8     1             dense
        8 weights; beside them 36 in embeddings, 2 in biases and other vectors
    """
    counted = matrices(module)
    by_module: dict[nn.Module, list[Matrix]] = {}
    for matrix in every_matrix(module):
        if matrix.name in counted or is_excluded(matrix):
            by_module.setdefault(matrix.module, []).append(matrix)
    bare = _bare_tensors(module)
    tensors: list[TensorSummary] = []
    for name, part in module.named_modules():
        tensors += [_of_matrix(matrix) for matrix in by_module.get(part, ())]
        if isinstance(part, SparseLayer):
            tensors += _of_native(name, part)
        tensors += bare.get(name, ())
    vectors = {id(p): p for p in module.parameters() if p.requires_grad and p.dim() < 2}
    return Summary(tuple(tensors), sum(p.numel() for p in vectors.values()))


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
        for each in found
        if each.kind == "not known"
    }


def num_embedded(module: nn.Module) -> int:
    """The trainable entries of embeddings and of what is tied to them."""
    return sum(weight.numel() for weight in embeddings(module).values() if weight.requires_grad)


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


def _bare_tensors(module: nn.Module) -> dict[str, list[TensorSummary]]:
    """Those that are no matrices, by the module that holds them; tied ones once."""
    covered = set()
    for matrix in every_matrix(module):
        if parametrize.is_parametrized(matrix.module, matrix.piece.parameter):
            steps = parametrizations_of(matrix.module, matrix.piece.parameter)
            covered |= {id(parameter) for parameter in steps.parameters()}
        covered.add(id(matrix.stored))
    covered |= {id(part.values) for part in module.modules() if isinstance(part, SparseLayer)}
    embedded = set(embeddings(module))
    found: dict[str, list[TensorSummary]] = {}
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
            found.setdefault(name, []).append(TensorSummary(full, kind, shape, size, size, "dense"))
    return found
