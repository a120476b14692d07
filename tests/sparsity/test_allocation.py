import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wider.errors import InputError
from wider.sparsity import ALLOCATIONS, allocate

every_allocation = pytest.mark.parametrize("allocation", ALLOCATIONS)


@st.composite
def budgets(draw):
    """Weight shapes of a net and a feasible budget."""
    side = st.integers(1, 12)
    matrix = st.tuples(side, side)
    kernel = st.integers(1, 3)
    shape = matrix | st.tuples(side, side, kernel) | st.tuples(side, side, kernel, kernel)
    drawn = draw(st.lists(shape, min_size=1, max_size=6))
    shapes = {f"layer.{index}": shape for index, shape in enumerate(drawn)}
    return shapes, draw(st.integers(len(shapes), total_of(shapes)))


def total_of(shapes):
    return sum(map(math.prod, shapes.values()))


def allocate_if_feasible(shapes, num_weights, allocation):
    """Rules other than level may leave a layer with nothing; refusing that is their only excuse."""
    try:
        return allocate(shapes, num_weights, allocation)
    except InputError as error:
        if allocation == "level" or "with nothing" not in str(error):
            raise
        assume(False)
        raise


def levelled(sizes, num_weights):
    """Level allocation, step by step.

    Cut the largest layers down to the size of the next smaller one, then all of these equally, and
    so on. What the division leaves over comes off the first of them, one each: the largest first,
    among equals in the order of the module. Appendix B takes all of it off the first.
    """
    kept = dict(sizes)
    while excess := sum(kept.values()) - num_weights:
        top = max(kept.values())
        largest = [name for name in kept if kept[name] == top]
        below = max((count for count in kept.values() if count < top), default=0)
        if (top - below) * len(largest) <= excess:
            for name in largest:
                kept[name] = below
            continue
        each, left_over = divmod(excess, len(largest))
        for name in largest:
            kept[name] -= each
        for name in sorted(largest, key=lambda name: sizes[name], reverse=True)[:left_over]:
            kept[name] -= 1
    return kept


def erdos_renyi_by_bisection(shapes, num_weights):
    """Weights min(size, factor * sum of dimensions), in floats, with the factor that fits."""

    def kept(factor):
        return {name: min(math.prod(s), factor * sum(s)) for name, s in shapes.items()}

    low, high = 0.0, float(total_of(shapes))
    for _ in range(100):
        middle = (low + high) / 2
        if sum(kept(middle).values()) < num_weights:
            low = middle
        else:
            high = middle
    return kept(high)


# What every allocation promises


@every_allocation
@given(budget=budgets())
def test_the_budget_is_met_exactly_and_every_layer_keeps_something(allocation, budget):
    shapes, num_weights = budget
    counts = allocate_if_feasible(shapes, num_weights, allocation)
    assert sum(counts.values()) == num_weights
    assert all(1 <= counts[name] <= math.prod(shape) for name, shape in shapes.items())
    assert all(type(count) is int for count in counts.values())


@every_allocation
@given(budget=budgets())
def test_layers_stay_in_the_order_of_the_module(allocation, budget):
    shapes, num_weights = budget
    assert list(allocate_if_feasible(shapes, num_weights, allocation)) == list(shapes)


@every_allocation
@given(budget=budgets())
def test_the_same_question_gets_the_same_answer(allocation, budget):
    shapes, num_weights = budget
    first = allocate_if_feasible(shapes, num_weights, allocation)
    assert allocate(dict(shapes), num_weights, allocation) == first


@every_allocation
@given(budget=budgets())
def test_the_full_net_keeps_everything(allocation, budget):
    shapes, _ = budget
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    assert allocate(shapes, total_of(shapes), allocation) == sizes


@every_allocation
def test_a_net_of_one_layer_gets_the_whole_budget(allocation):
    assert allocate({"only": (7, 9)}, 31, allocation) == {"only": 31}


@every_allocation
def test_huge_layers_are_divided_without_rounding(allocation):
    shapes = {"a": (10**9, 10**9), "b": (10**9 + 1, 10**9)}
    counts = allocate(shapes, 10**18 + 1, allocation)
    assert sum(counts.values()) == 10**18 + 1


@every_allocation
def test_a_budget_larger_than_the_net_is_refused(allocation):
    with pytest.raises(InputError, match=r"budget of 17 weights is larger .* has 16"):
        allocate({"a": (3, 4), "b": (2, 2)}, 17, allocation)


@every_allocation
@pytest.mark.parametrize("num_weights", [1, 0, -5])
def test_a_budget_below_one_weight_a_layer_is_refused(allocation, num_weights):
    with pytest.raises(InputError, match="leaves a layer with nothing: the net has 2 layers"):
        allocate({"a": (3, 4), "b": (2, 2)}, num_weights, allocation)


@every_allocation
def test_a_net_without_layers_is_refused(allocation):
    with pytest.raises(InputError, match="no layer to allocate to"):
        allocate({}, 1, allocation)


@every_allocation
@pytest.mark.parametrize("size", [0, -3, (), (3, 0)])
def test_an_empty_layer_is_refused(allocation, size):
    with pytest.raises(InputError, match="'b' has size"):
        allocate({"a": (3, 4), "b": size}, 2, allocation)


# Level


@given(budget=budgets())
def test_level_cuts_the_largest_layers_step_by_step(budget):
    shapes, num_weights = budget
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    assert allocate(sizes, num_weights, "level") == levelled(sizes, num_weights)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.data())
def test_level_cuts_step_by_step_with_many_ties(sizes, data):
    named = {str(index): size for index, size in enumerate(sizes)}
    num_weights = data.draw(st.integers(len(sizes), sum(sizes)))
    assert allocate(named, num_weights, "level") == levelled(named, num_weights)


def appendix_b(sizes, num_weights):
    """Golubeva et al. 2021, Appendix B: how many weights each layer keeps."""
    names = sorted(sizes, key=lambda name: -sizes[name])
    ordered = [sizes[name] for name in names]
    excess = sum(ordered) - num_weights
    steps = [one - other for one, other in pairwise(ordered)]
    # How many weights can go before the next smaller layer has to give some, too.
    limits = [
        sum((place + 1) * step for place, step in enumerate(steps[:count]))
        for count in range(1, len(ordered))
    ]
    last = next((place for place, limit in enumerate(limits) if limit >= excess), len(limits))
    removed = [sum(steps[place:last]) for place in range(last + 1)]
    each, left_over = divmod(excess - sum(removed), last + 1)
    removed = [count + each for count in removed]
    removed[0] += left_over
    kept = dict(zip(names, ordered, strict=True))
    for name, count in zip(names, removed, strict=False):
        kept[name] -= count
    return kept, left_over


@given(budget=budgets())
def test_level_is_appendix_b_but_for_what_a_division_leaves_over(budget):
    """As docs/fidelity.md says."""
    shapes, num_weights = budget
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    ours = allocate(sizes, num_weights, "level")
    theirs, left_over = appendix_b(sizes, num_weights)
    assert sum(theirs.values()) == num_weights
    assert max(abs(ours[name] - theirs[name]) for name in sizes) <= max(left_over - 1, 0)
    assert left_over < len(sizes)


@given(budget=budgets())
def test_level_reaches_one_weight_a_layer(budget):
    shapes, _ = budget
    assert allocate(shapes, len(shapes), "level") == dict.fromkeys(shapes, 1)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_one_more_weight_in_the_budget_goes_to_one_layer(sizes):
    named = {str(index): size for index, size in enumerate(sizes)}
    for num_weights in range(len(sizes), sum(sizes)):
        fewer = allocate(named, num_weights, "level")
        more = allocate(named, num_weights + 1, "level")
        assert sorted(more[name] - fewer[name] for name in named) == [0] * (len(sizes) - 1) + [1]


@given(budget=budgets())
def test_level_does_not_depend_on_the_order_of_unequal_layers(budget):
    shapes, num_weights = budget
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    assume(len(set(sizes.values())) == len(sizes))
    backwards = dict(reversed(sizes.items()))
    assert allocate(backwards, num_weights, "level") == allocate(sizes, num_weights, "level")


@pytest.mark.parametrize(
    ("sizes", "num_weights", "counts"),
    [
        # The paper's MLP: 784 x 5 + 5 x 10 = 3,970 weights.
        ((784 * 5, 5 * 10), 3970, (3920, 50)),
        ((784 * 80, 80 * 10), 3970, (3170, 800)),
        ((784 * 160, 160 * 10), 3970, (2370, 1600)),
        ((784 * 320, 320 * 10), 3970, (1985, 1985)),
        ((784 * 640, 640 * 10), 3970, (1985, 1985)),
        # An odd weight left over comes off the largest layer, wherever it stands.
        ((784 * 640, 640 * 10), 3969, (1984, 1985)),
        ((640 * 10, 784 * 640), 3969, (1985, 1984)),
        # Among equals the first one gives.
        ((10, 10), 9, (4, 5)),
        ((10, 10, 10), 16, (5, 5, 6)),
        ((10, 10, 10), 17, (5, 6, 6)),
        # Once all are cut to one level, the one that was largest still gives first.
        ((4, 10, 8), 11, (4, 3, 4)),
        ((4, 10, 8), 10, (4, 3, 3)),
        ((4, 10, 8), 8, (3, 2, 3)),
        # The largest comes down to the second largest and stops there.
        ((100, 30, 2), 62, (30, 30, 2)),
        ((100, 30, 2), 63, (31, 30, 2)),
        ((100, 30, 2), 61, (29, 30, 2)),
    ],
)
def test_level_by_hand(sizes, num_weights, counts):
    names = "abc"[: len(sizes)]
    expected = dict(zip(names, counts, strict=True))
    assert allocate(dict(zip(names, sizes, strict=True)), num_weights, "level") == expected


def test_level_is_the_default():
    assert allocate({"a": 100, "b": 30}, 62) == {"a": 32, "b": 30}


# Proportional


@given(budget=budgets())
def test_proportional_is_within_one_of_the_exact_share(budget):
    shapes, num_weights = budget
    counts = allocate_if_feasible(shapes, num_weights, "proportional")
    for name, shape in shapes.items():
        # In integers, so that the bound is sharp.
        error = counts[name] * total_of(shapes) - num_weights * math.prod(shape)
        assert abs(error) < total_of(shapes)


@pytest.mark.parametrize(
    ("sizes", "num_weights", "counts"),
    [
        ((100, 50, 10), 16, (10, 5, 1)),
        ((60, 25, 15), 10, (6, 3, 1)),  # 6, 2.5, 1.5: the first of two equal remainders
        ((70, 21, 9), 10, (7, 2, 1)),  # 7, 2.1, 0.9: the larger remainder
    ],
)
def test_proportional_by_hand(sizes, num_weights, counts):
    named = dict(zip("abc", sizes, strict=True))
    assert allocate(named, num_weights, "proportional") == dict(zip("abc", counts, strict=True))


def test_proportional_refuses_to_empty_a_layer():
    with pytest.raises(InputError, match=r"'proportional' of 10 weights leaves layer 'b' with"):
        allocate({"a": 1000, "b": 2}, 10, "proportional")


# Erdos-Renyi


@given(budget=budgets())
def test_erdos_renyi_is_within_one_of_a_float_implementation(budget):
    shapes, num_weights = budget
    counts = allocate_if_feasible(shapes, num_weights, "erdos_renyi")
    exact = erdos_renyi_by_bisection(shapes, num_weights)
    for name in shapes:
        assert abs(counts[name] - exact[name]) < 1 + 1e-9 * num_weights


@pytest.mark.parametrize(
    ("shapes", "num_weights", "counts"),
    [
        # Sums of dimensions 150 and 50: three to one.
        (((100, 50), (25, 25)), 400, (300, 100)),
        # Kernel dimensions count too: 10 + 10 + 3 + 3 = 26 and 20 + 32 = 52.
        (((10, 10, 3, 3), (20, 32)), 300, (100, 200)),
        # The share of the last, 1000 * 12 / 162, is above its 20 weights: it stays dense.
        (((100, 50), (10, 2)), 1000, (980, 20)),
        # Keeping "c" dense (2 of 4.7) raises the share of "b" from 9.4 to 9.5 of its 9.
        (((40, 40), (3, 3), (2, 1)), 140, (129, 9, 2)),
    ],
)
def test_erdos_renyi_by_hand(shapes, num_weights, counts):
    names = "abc"[: len(shapes)]
    expected = dict(zip(names, counts, strict=True))
    assert allocate(dict(zip(names, shapes, strict=True)), num_weights, "erdos_renyi") == expected


def test_erdos_renyi_refuses_to_empty_a_layer():
    with pytest.raises(InputError, match=r"'erdos_renyi' of 4 weights leaves layer 'b' with"):
        allocate({"a": (100, 100), "b": (2, 2)}, 4, "erdos_renyi")


def test_erdos_renyi_needs_shapes():
    with pytest.raises(InputError, match=r"'b' is given by its size: pass the shape"):
        allocate({"a": (3, 4), "b": 12}, 10, "erdos_renyi")


# Explicit, by layer

NET = {"first": (784, 80), "middle": (80, 80), "last": (80, 10)}


@given(st.data())
def test_a_mapping_meets_the_budget_and_is_obeyed(data):
    shapes, num_weights = data.draw(budgets())
    counts = levelled({name: math.prod(s) for name, s in shapes.items()}, num_weights)
    named = data.draw(st.sets(st.sampled_from(list(shapes))))
    result = allocate(shapes, num_weights, {name: counts[name] for name in named})
    assert list(result) == list(shapes)
    assert sum(result.values()) == num_weights
    assert all(1 <= result[name] <= math.prod(shape) for name, shape in shapes.items())
    assert all(result[name] == counts[name] for name in named)


@pytest.mark.parametrize(
    ("allocation", "counts"),
    [
        ({"first": 3000, "middle": 500, "last": 470}, (3000, 500, 470)),
        ({"last": 470, "first": 3000, "middle": 500}, (3000, 500, 470)),
        ({"last": 0.5}, (1785, 1785, 400)),  # the rest by level
        ({"last": 1.0}, (1585, 1585, 800)),
        ({"last": 800}, (1585, 1585, 800)),
        ({"last": 1}, (1984, 1985, 1)),  # a count, not a connectivity
        ({"last": 1e-9}, (1984, 1985, 1)),  # at least one
        ({"middle": 0.01, "last": 0.1}, (3826, 64, 80)),
        ({"first": 3168, "middle": 0.000_3}, (3168, 2, 800)),  # 1.92 weights are two
        ({}, (1585, 1585, 800)),
    ],
)
def test_a_mapping_by_hand(allocation, counts):
    assert allocate(NET, 3970, allocation) == dict(zip(NET, counts, strict=True))


def test_a_mapping_names_a_layer_that_is_not_there():
    with pytest.raises(InputError, match=r"'lats' .* its layers are 'first', 'middle', 'last'"):
        allocate(NET, 3970, {"lats": 0.5})


@pytest.mark.parametrize(
    "kept", [True, False, 0, -1, 801, 0.0, -0.5, 1.5, math.nan, math.inf, "half", None]
)
def test_a_mapping_keeps_an_impossible_part_of_a_layer(kept):
    with pytest.raises(InputError, match=r"layer 'last' is .* from 1 to 800 .* up to 1\.0"):
        allocate(NET, 3970, {"last": kept})


@pytest.mark.parametrize("last", [469, 471])
def test_a_mapping_of_all_layers_contradicts_the_budget(last):
    with pytest.raises(InputError, match=f"keeps {3500 + last:,} weights, the budget is 3,970"):
        allocate(NET, 3970, {"first": 3000, "middle": 500, "last": last})


@pytest.mark.parametrize(
    ("allocation", "left"),
    [
        ({"first": 3970}, "0"),
        ({"first": 3969}, "1"),
        ({"first": 4000}, "-30"),
    ],
)
def test_a_mapping_leaves_too_little_for_the_others(allocation, left):
    with pytest.raises(InputError, match=rf"leaves {left} for .*'middle', 'last'.* 2 to 7,200"):
        allocate(NET, 3970, allocation)


def test_a_mapping_leaves_more_than_the_others_can_hold():
    with pytest.raises(InputError, match=r"leaves 3,870 for .*'last'.* 1 to 800"):
        allocate(NET, 3970, {"first": 50, "middle": 50})


def test_a_mapping_may_leave_exactly_what_the_others_need():
    counts = allocate(NET, 3970, {"first": 3968})
    assert counts == {"first": 3968, "middle": 1, "last": 1}


def test_a_mapping_may_leave_exactly_what_the_others_can_hold():
    counts = allocate(NET, 7210, {"first": 10})
    assert counts == {"first": 10, "middle": 6400, "last": 800}


@pytest.mark.parametrize("allocation", ["Level", "", "er", None])
def test_an_unknown_allocation_is_refused_with_the_known_ones(allocation):
    with pytest.raises(InputError, match=r"unknown allocation .* use 'level', 'proportional'"):
        allocate(NET, 3970, allocation)
