"""Allocations: how many weights each layer keeps. Which ones is the pattern's business."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from numbers import Integral

from wider.errors import InputError
from wider.registry import Registry

Shapes = dict[str, tuple[int, ...]]
Counts = dict[str, int]
AllocationRule = Callable[[Shapes, int], Mapping[str, int]]
"""{layer: shape of its weights} and the budget -> {layer: weights kept}, of every layer."""

Allocation = str | AllocationRule | Mapping[str, int | float]
"""By name (see `ALLOCATIONS`), a rule, or {layer: weights kept (int) or connectivity (float)}."""

ALLOCATIONS: Registry[AllocationRule] = Registry("allocation", group="wider.allocations")
"""The rules by name. Another one is a function with the decorator `@ALLOCATIONS.register("name")`;
it gets shapes that hold the budget, and what it returns is checked."""


def allocate(
    sizes: Mapping[str, int | Sequence[int]], num_weights: int, allocation: Allocation = "level"
) -> Counts:
    """Divides a budget of weights among the layers of a net, exactly.

    - `"level"`: every layer keeps min(size, cap) weights; small layers stay dense while they can.
    - `"proportional"`: the same connectivity in every layer.
    - `"erdos_renyi"`: weights in proportion to the sum of the weight tensor's dimensions.
    - a rule of your own, by `"module:name"` or itself: see `AllocationRule`.
    - a mapping: the layers named keep that many weights (an int) or that part of their weights
      (a float); the layers not named share the rest of the budget by level allocation.

    Args:
        sizes: {layer name: number of weights, or the shape of the weight tensor}, in the order of
            the module. `"erdos_renyi"` needs the shapes.
        num_weights: the budget, in weights of the whole net.
        allocation: the rule.

    Returns:
        {layer name: weights kept}, in the order of `sizes`; each at least 1, their sum exactly
        `num_weights`.

    Raises:
        InputError: the budget is larger than the net or leaves a layer with nothing, or the
            allocation is unknown or contradicts the budget.

    Source:
        Level allocation: Golubeva et al. 2021, Appendix B, but for the few weights that a division
        leaves over, all of which it takes from the largest layer. Erdos-Renyi: Mocanu et al. 2018,
        with kernels as in Evci et al. 2020.
    """
    shapes = {name: _as_shape(name, size) for name, size in sizes.items()}
    _check_budget(shapes, num_weights)
    if isinstance(allocation, Mapping):
        counts = _explicit(shapes, num_weights, allocation)
    else:
        rule = allocation if callable(allocation) else ALLOCATIONS.find(allocation)
        counts = _of_every_layer(rule(shapes, num_weights), shapes, allocation)
    _check_counts(shapes, counts, num_weights, allocation)
    return counts


def _of_every_layer(counts: Mapping[str, int], shapes: Shapes, allocation: Allocation) -> Counts:
    is_whole = isinstance(counts, Mapping) and all(
        isinstance(count, Integral) for count in counts.values()
    )
    if not is_whole or set(counts) != set(shapes):
        raise InputError(
            f"allocation {allocation!r} gives {counts!r}: a rule has to give a whole number of "
            f"weights for each of the layers {', '.join(map(repr, shapes))}"
        )
    return {name: int(counts[name]) for name in shapes}


@ALLOCATIONS.register("level")
def _level(shapes: Shapes, num_weights: int) -> Counts:
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    low, high = 1, max(sizes.values())
    while low < high:  # the smallest cap under which the layers still hold the budget
        middle = (low + high) // 2
        if sum(min(size, middle) for size in sizes.values()) < num_weights:
            low = middle + 1
        else:
            high = middle
    cap = low
    counts = {name: min(size, cap) for name, size in sizes.items()}
    # One cap for all overshoots by less than the number of layers at the cap: each of those gives
    # up at most one weight, the largest first and equals in the module's order, so that the
    # result never depends on the order of a dict or on rounding.
    at_cap = [name for name in sizes if sizes[name] >= cap]
    surplus = sum(counts.values()) - num_weights
    for name in sorted(at_cap, key=lambda name: -sizes[name])[:surplus]:
        counts[name] -= 1
    return counts


@ALLOCATIONS.register("proportional")
def _proportional(shapes: Shapes, num_weights: int) -> Counts:
    total = sum(math.prod(shape) for shape in shapes.values())
    targets = {
        name: Fraction(math.prod(shape) * num_weights, total) for name, shape in shapes.items()
    }
    return _rounded(targets, num_weights)


@ALLOCATIONS.register("erdos_renyi")
def _erdos_renyi(shapes: Shapes, num_weights: int) -> Counts:
    if vectors := [name for name, shape in shapes.items() if len(shape) < 2]:
        raise InputError(
            f"allocation 'erdos_renyi' needs the shape of every weight tensor; {vectors[0]!r} is "
            "given by its size: pass the shape, such as (out, in), instead"
        )
    targets: dict[str, Fraction] = {}
    # Layers whose share exceeds their size stay dense; the others share what is left, which can
    # push further layers over their size, until none is.
    while True:
        open_layers = [name for name in shapes if name not in targets]
        left = num_weights - sum(targets.values())
        total = sum(sum(shapes[name]) for name in open_layers)
        shares = {name: left * Fraction(sum(shapes[name]), total) for name in open_layers}
        full = {name for name in open_layers if shares[name] >= math.prod(shapes[name])}
        if not full:
            return _rounded({name: (targets | shares)[name] for name in shapes}, num_weights)
        targets |= {name: Fraction(math.prod(shapes[name])) for name in full}
        if len(targets) == len(shapes):
            return _rounded({name: targets[name] for name in shapes}, num_weights)


def _explicit(shapes: Shapes, num_weights: int, allocation: Mapping[str, int | float]) -> Counts:
    counts = {}
    for name, kept in allocation.items():
        if name not in shapes:
            raise InputError(
                f"allocation names a layer {name!r} that the net does not have; its layers are "
                + ", ".join(map(repr, shapes))
            )
        counts[name] = _kept(name, kept, math.prod(shapes[name]))
    rest = {name: shape for name, shape in shapes.items() if name not in counts}
    left = num_weights - sum(counts.values())
    if rest:
        capacity = sum(math.prod(shape) for shape in rest.values())
        if not len(rest) <= left <= capacity:
            raise InputError(
                f"the layers named keep {sum(counts.values()):,} of {num_weights:,} weights; that "
                f"leaves {left:,} for the others ({', '.join(map(repr, rest))}), which take "
                f"{len(rest):,} to {capacity:,}: name a larger or smaller number for them"
            )
        counts |= _level(rest, left)
    elif left:
        raise InputError(
            f"allocation keeps {sum(counts.values()):,} weights, the budget is {num_weights:,}: "
            "leave one layer out of the mapping, and it takes what the others leave"
        )
    return {name: counts[name] for name in shapes}


def _kept(name: str, kept: int | float, size: int) -> int:
    if isinstance(kept, int) and not isinstance(kept, bool) and 1 <= kept <= size:
        return kept
    if isinstance(kept, float) and 0 < kept <= 1:
        return max(1, round(kept * size))
    raise InputError(
        f"allocation of layer {name!r} is {kept!r}; use an int from 1 to {size:,} (weights kept) "
        "or a float above 0 and up to 1.0 (connectivity)"
    )


def _rounded(targets: Mapping[str, Fraction], num_weights: int) -> Counts:
    """Largest remainders, so that the whole numbers add up to the budget; ties in module order."""
    counts = {name: math.floor(target) for name, target in targets.items()}
    missing = num_weights - sum(counts.values())
    by_remainder = sorted(targets, key=lambda name: counts[name] - targets[name])
    for name in by_remainder[:missing]:
        counts[name] += 1
    return counts


def _as_shape(name: str, size: int | Sequence[int]) -> tuple[int, ...]:
    shape = (size,) if isinstance(size, int) else tuple(size)
    if not shape or any(side < 1 for side in shape):
        raise InputError(f"layer {name!r} has size {size!r}; every layer needs at least one weight")
    return shape


def _check_budget(shapes: Shapes, num_weights: int) -> None:
    if not shapes:
        raise InputError(
            "there is no layer to allocate to: the net needs at least one trainable matrix that is "
            "not left out, of a kind that is known (linear, convolutional, attention, recurrent, "
            "...); say what the weights of a layer of your own are with wider.sparsity.register"
        )
    total = sum(math.prod(shape) for shape in shapes.values())
    if num_weights > total:
        raise InputError(
            f"a budget of {num_weights:,} weights is larger than the net, which has {total:,}: "
            "lower num_weights or widen the net"
        )
    if num_weights < len(shapes):
        raise InputError(
            f"a budget of {num_weights:,} weights leaves a layer with nothing: the net has "
            f"{len(shapes):,} layers, and each needs at least one weight"
        )


def _check_counts(shapes: Shapes, counts: Counts, num_weights: int, allocation: Allocation) -> None:
    if empty := [name for name, count in counts.items() if count < 1]:
        raise InputError(
            f"allocation {allocation!r} of {num_weights:,} weights leaves layer {empty[0]!r} with "
            "nothing: raise num_weights or use allocation 'level'"
        )
    within = all(counts[name] <= math.prod(shape) for name, shape in shapes.items())
    if not within or sum(counts.values()) != num_weights:
        raise InputError(
            f"allocation {allocation!r} keeps {counts}, which is more than a layer has, or not the "
            f"budget of {num_weights:,} weights"
        )
