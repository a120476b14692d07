"""Exact numbers of weights."""

from typing import NamedTuple

from torch import nn

from wider.errors import InputError
from wider.native import SparseLayer
from wider.sparsity._matrices import Matrix, is_left_out, matrices


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
    """The part of its weights that each layer keeps.

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
