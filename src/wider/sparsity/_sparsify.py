"""Any PyTorch module, sparsified to a budget."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.native import SparseLayer
from wider.randomness import stream
from wider.sparsity._allocation import Allocation, allocate
from wider.sparsity._mask import Mask
from wider.sparsity._masked import put_mask, scale_up, scaled_tensors
from wider.sparsity._matrices import EXCLUDED, Matrix, every_matrix, matrices, tied_tensors
from wider.sparsity._matrices import exclude as leave_out
from wider.sparsity._pattern import Pattern, draw_mask
from wider.sparsity._summary import count_weights, uncounted

AnyModule = TypeVar("AnyModule", bound=nn.Module)
LITTLE = 0.01  # of a net that may be uncounted without a word


class BudgetWarning(UserWarning):
    """The budget cannot be met exactly; the message says by how much it is missed."""


class UncountedWarning(UserWarning):
    """Trainable tensors that are no vectors are not counted; the message names them."""


def sparsify(
    module: AnyModule,
    *,
    num_weights: int,
    allocation: Allocation = "level",
    pattern: Pattern = "uniform",
    exclude: Sequence[str] = (),
    seed: int = 0,
) -> AnyModule:
    """Removes weights at random until a freshly initialised net has `num_weights` of them.

    Done in place, before training. Each layer's weights and biases are divided by the square root
    of its connectivity c: the initial weights U(-a, a), a = 1/sqrt(fan_in), become
    a = 1/sqrt(fan_in c), and N(0, 1) becomes N(0, 1/c), so that the outputs keep their scale.
    Layers that keep everything are left as they are.

    Args:
        module: any net; see `matrices` for what its weights are.
        num_weights: the budget, in trainable weights of the whole net.
        allocation: how many weights each layer keeps; see `allocate`.
        pattern: which ones; see `draw_mask`.
        exclude: patterns of names of matrices, such as "head" or "*.mlp.*", that are left dense and
            not counted.
        seed: each layer's mask is drawn from a stream of its own, by seed and layer name.

    Returns:
        The same module.

    Raises:
        InputError: the budget or the allocation cannot be met, a tensor is tied to one that is no
            weight, or a layer is parametrised already or of a kind that is not known. The net is
            then as it was: nothing is masked, nor left out.

    Warns:
        BudgetWarning: pattern "io" keeps whole kernels and so can miss the budget, by less than
            one kernel per layer.
        UncountedWarning: more than a hundredth of the net is in tensors that no rule covers.

    Example:
        >>> net = nn.Sequential(nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 10))
        >>> count_weights(sparsify(net, num_weights=3970))
        3970

    Source:
        Golubeva et al. 2021, Section 2.1 and Appendix B.
    """
    with _left_out(module, exclude):
        found = matrices(module)
        _refuse_entangled(module, found)
        shapes = {name: matrix.shape for name, matrix in found.items()}
        counts = allocate(shapes, num_weights, allocation)
        masks = {
            found[name].place: draw_mask(
                shapes[name], count, pattern, generator=stream(seed, "mask", name)
            )
            for name, count in counts.items()
            if count < math.prod(shapes[name])
        }
    _apply(module, masks)
    _check_budget(module, num_weights, pattern)
    _warn_of_uncounted(module)
    return module


@contextmanager
def _left_out(module: nn.Module, patterns: Sequence[str]) -> Iterator[None]:
    """Excludes, but for good only where what follows succeeds."""
    before = {part: vars(part).get(EXCLUDED) for part in module.modules()}
    leave_out(module, patterns)
    try:
        yield
    except BaseException:
        for part, marks in before.items():
            if marks is None:
                vars(part).pop(EXCLUDED, None)
            else:
                setattr(part, EXCLUDED, marks)
        raise


def _apply(module: nn.Module, masks: Mapping[tuple[int, int], Bool[Tensor, "..."]]) -> None:
    """Scales what is kept, and puts one mask on each parameter, wherever it is used."""
    users = [matrix for matrix in every_matrix(module) if matrix.place in masks]
    whole: dict[int, Mask] = {}
    scaled: set[tuple[int, int]] = set()
    for matrix in users:
        stored, rows = matrix.stored, matrix.rows
        if id(stored) not in whole:
            kept = torch.ones(stored.shape, dtype=torch.bool)
            whole[id(stored)] = Mask(kept)
        mask = masks[matrix.place]
        kept = whole[id(stored)].mask
        kept[rows] = mask.reshape(kept[rows].shape)
        scale_up(matrix, mask, scaled)
    masked = {(matrix.module, matrix.piece.parameter): matrix.stored for matrix in users}
    for (layer, parameter), stored in masked.items():
        put_mask(layer, parameter, whole[id(stored)].to(stored.device))


def _refuse_entangled(module: nn.Module, found: Mapping[str, Matrix]) -> None:
    for name, matrix in found.items():
        if parametrize.is_parametrized(matrix.module, matrix.piece.parameter):
            raise InputError(
                f"the weight of layer {name!r} is parametrised already (sparsified, or by another "
                f"tool): start from a plain net, or leave it out with exclude=[{name!r}]"
            )
        if matrix.stored.is_meta:
            raise InputError(
                f"the weight of layer {name!r} is on the meta device and has no numbers yet, which "
                "would be scaled: sparsify the net once it has been made and initialised for real"
            )
    for name, part in module.named_modules():
        if isinstance(part, SparseLayer):
            raise InputError(f"layer {name!r} is sparse already (native): start from a plain net")
    scaled = {id(tensor) for matrix in found.values() for tensor in scaled_tensors(matrix)}
    known = {(id(matrix.module), matrix.piece.parameter) for matrix in every_matrix(module)}
    for first, second in tied_tensors(module):
        parent, _, name = second.rpartition(".")
        part = module.get_submodule(parent)
        if id(getattr(part, name)) in scaled and (id(part), name) not in known:
            raise InputError(
                f"{first!r} and {second!r} are one tied tensor, which cannot be masked or "
                "scaled for one layer alone: give each layer its own, leave it out by name with "
                "exclude, or freeze it with requires_grad_(False)"
            )


def _warn_of_uncounted(module: nn.Module) -> None:
    """Where no rule covers more than a hundredth of a net."""
    left_over = uncounted(module)
    total = sum(p.numel() for p in module.parameters() if p.requires_grad)
    if sum(left_over.values()) > LITTLE * total:
        warnings.warn(
            f"{sum(left_over.values()):,} of {total:,} trainable numbers are in tensors that no "
            f"rule covers, so they are neither counted nor sparsified: {', '.join(left_over)}. "
            "Leave them out by name with exclude, or say what their weights are with "
            "wider.sparsity.register; wider.summary lists every tensor",
            UncountedWarning,
            stacklevel=3,
        )


def _check_budget(module: nn.Module, num_weights: int, pattern: Pattern) -> None:
    kept = count_weights(module)
    if kept == num_weights:
        return
    if pattern == "uniform":
        raise AssertionError(f"{kept} weights kept, the budget was {num_weights}")
    warnings.warn(
        f"pattern {pattern!r} keeps {kept:,} weights instead of {num_weights:,} "
        f"({kept - num_weights:+,})",
        BudgetWarning,
        stacklevel=3,
    )
