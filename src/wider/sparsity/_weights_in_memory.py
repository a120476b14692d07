"""Which tensors of a forward pass are weights, and which of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int32
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wider.sparsity._mask import stored_parameter
from wider.sparsity._matrices import Matrix, all_matrices

Place = tuple[int, int]
"""Of a matrix or a parameter; see `Matrix.place`."""
Owner = tuple[str, Place | None]
"""The name of a module, and what of it; None for no weight."""


@dataclass(frozen=True)
class _Piece:
    """Rows of a parameter that have one owner."""

    owner: int
    rows: slice
    mask: Tensor | None


class _Known:
    """A tensor of weights, which it keeps in memory so that no other takes its place."""

    def __init__(self, tensor: Tensor, source: list[_Piece] | Tensor) -> None:
        self.tensor = tensor
        self._source = source
        self.counted: dict[tuple, dict[int, int]] = {}

    def contains(self, view: Tensor) -> bool:
        (first, last), (start, end) = _extent(self.tensor), _extent(view)
        return first <= start and end <= last and view.dtype == self.tensor.dtype

    def owners_of(self, view: Tensor) -> Int32[Tensor, "..."]:
        """Of every entry of a view: 0 for one that is removed, else its owner."""
        offset = int(view.storage_offset() - self.tensor.storage_offset())
        return self._owners().as_strided(view.shape, view.stride(), offset)

    def _owners(self) -> Tensor:
        if isinstance(self._source, Tensor):
            return self._source
        owners = _laid_out_like(self.tensor).zero_()
        for piece in self._source:
            rows = owners[piece.rows]
            if piece.mask is None:
                rows.fill_(piece.owner)
            else:
                rows.masked_fill_(piece.mask.to("cpu"), piece.owner)
        return owners


class WeightsInMemory:
    """The weights of a net as it computes with them.

    They are known by the memory that they lie in, which views of them (rows of a packed matrix, one
    of several experts, a transposed matrix) share.

    Args:
        net: whose parametrised weights are cached (`torch.nn.utils.parametrize.cached`), so that
            what it computes with is what is found here.
    """

    def __init__(self, net: nn.Module) -> None:
        self._owners: list[Owner] = [("", None)]
        self._known: dict[int, list[_Known]] = {}
        self._copies: list[list[_Known]] = []
        for (module, name, parameter), matrices in _by_parameter(net).items():
            pieces = [
                _Piece(self._owner(name, each.place), each.rows, each.mask) for each in matrices
            ]
            if not pieces:
                place = (id(getattr(module, parameter)), 0)
                pieces = [_Piece(self._owner(name, place), slice(None), None)]
            self._know(getattr(module, parameter), pieces)

    def kept(self, view: Tensor) -> dict[Owner, int] | None:
        """How many weights of each owner a tensor holds; None where it holds no weights.

        Args:
            view: any tensor. What is expanded counts as often as it is there.
        """
        if (known := self._find(view)) is None:
            return None
        key = (view.shape, view.stride(), view.storage_offset())
        if key not in known.counted:
            counts = torch.bincount(known.owners_of(view).flatten()).tolist()
            known.counted[key] = {owner: count for owner, count in enumerate(counts) if owner}
        return {self._owners[owner]: count for owner, count in known.counted[key].items() if count}

    def copied(self, view: Tensor, copy: Tensor, indices: list[Tensor | None] | None) -> None:
        """Says that a tensor is a copy of another one, or of entries of it.

        Args:
            view: may hold weights or not.
            copy: in another precision or order of memory.
            indices: which entries of it; None for all.
        """
        if (known := self._find(view)) is None or not self._copies:
            return
        owners = known.owners_of(view)
        if indices is not None:
            if copy.is_meta:
                return  # which entries is not known
            chosen = [slice(None) if each is None else each.to("cpu") for each in indices]
            owners = owners[tuple(chosen)]
        self._copies[-1].append(self._know(copy, _laid_out_like(copy).copy_(owners)))

    def enter(self) -> None:
        """Copies made from now on are of a module that starts."""
        self._copies.append([])

    def leave(self) -> None:
        """The module ends, and its copies are given up, for they may be large."""
        for known in self._copies.pop():
            self._known[_memory(known.tensor)].remove(known)

    def _owner(self, name: str, place: Place) -> int:
        self._owners.append((name, place))
        return len(self._owners) - 1

    def _know(self, tensor: Tensor, source: list[_Piece] | Tensor) -> _Known:
        known = _Known(tensor, source)
        self._known.setdefault(_memory(tensor), []).append(known)
        return known

    def _find(self, view: Tensor) -> _Known | None:
        if view.layout != torch.strided or view.is_nested:
            return None
        here = self._known.get(_memory(view), [])
        return next((known for known in here if known.contains(view)), None)


def _by_parameter(net: nn.Module) -> dict[tuple[nn.Module, str, str], list[Matrix]]:
    """The matrices of each parameter of two or more dimensions; none where no rule covers it."""
    names = {part: name for name, part in net.named_modules()}
    found: dict[tuple[nn.Module, str, str], list[Matrix]] = {}
    for matrix in all_matrices(net):
        key = (matrix.module, names[matrix.module], matrix.piece.parameter)
        if not is_lazy(stored_parameter(matrix.module, matrix.piece.parameter)):
            found.setdefault(key, []).append(matrix)
    for part, name, own in _parameters(net):
        found.setdefault((part, name, own), [])
    return found


def _parameters(net: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    for name, part in net.named_modules():
        for own, parameter in part.named_parameters(recurse=False):
            if not is_lazy(parameter) and parameter.dim() > 1:
                yield part, name, own


def _memory(tensor: Tensor) -> int:
    """The same for tensors that share their numbers, on the meta device, too."""
    return tensor.untyped_storage()._cdata


def _extent(tensor: Tensor) -> tuple[int, int]:
    """Where in its memory a tensor begins and ends."""
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    start = int(tensor.storage_offset())
    return start, start + sum((size - 1) * stride for size, stride in steps)


def _laid_out_like(tensor: Tensor) -> Tensor:
    shape, strides = tuple(tensor.shape), tensor.stride()
    return torch.empty_strided(shape, strides, dtype=torch.int32, device="cpu")
