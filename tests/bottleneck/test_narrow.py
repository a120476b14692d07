import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wider.bottleneck import Narrowable, narrow
from wider.errors import InputError
from wider.models import MLP, BasicBlock, ResNet18


def affine(fixed, costs):
    """The usual case: each channel of a narrowed layer has its price."""
    return lambda widths: fixed + sum(c * w for c, w in zip(costs, widths, strict=True))


@st.composite
def nets(draw):
    """Usual widths, a count that grows with them, and a feasible budget."""
    layers = draw(
        st.lists(st.tuples(st.integers(1, 60), st.integers(1, 50)), min_size=1, max_size=6)
    )
    widths, costs = zip(*layers, strict=True)
    linear = affine(draw(st.integers(0, 500)), costs)
    if draw(st.booleans()):  # neighbours that are both narrowed: their product counts as well
        count = lambda w: linear(w) + sum(map(math.prod, pairwise(w)))  # noqa: E731
    else:
        count = linear
    budget = draw(st.integers(count((1,) * len(widths)), count(widths) + 50))
    return widths, count, budget


def one_more(widths, index):
    return tuple(width + (place == index) for place, width in enumerate(widths))


@given(nets())
def test_the_budget_is_never_exceeded_and_no_further_channel_fits(net):
    widths, count, budget = net
    found = narrow(widths, budget, count=count)
    assert count(found) <= budget
    assert all(1 <= width <= usual for width, usual in zip(found, widths, strict=True))
    assert all(type(width) is int for width in found)
    for index, usual in enumerate(widths):
        assert found[index] == usual or count(one_more(found, index)) > budget


@given(nets())
def test_every_layer_keeps_at_least_the_largest_common_ratio_that_fits(net):
    widths, count, budget = net
    found = narrow(widths, budget, count=count)
    for step in range(1, 201):  # in floats, on a grid of its own
        ratio = step / 200
        rounded = tuple(max(1, math.floor(ratio * width - 1e-9)) for width in widths)
        if count(rounded) <= budget:
            assert all(width >= other for width, other in zip(found, rounded, strict=True))


@given(nets())
def test_a_budget_that_is_large_enough_narrows_nothing(net):
    widths, count, _ = net
    assert narrow(widths, count(widths), count=count) == widths


def test_two_layers_by_hand():
    # 100 + 7 a + 3 b <= 150 with a = b = 10 at ratio 1. Ratio 1/2: 100 + 35 + 15 = 150.
    assert narrow((10, 10), 150, count=affine(100, (7, 3))) == (5, 5)
    # One more weight buys nothing; three buy a channel of the second layer.
    assert narrow((10, 10), 151, count=affine(100, (7, 3))) == (5, 5)
    assert narrow((10, 10), 153, count=affine(100, (7, 3))) == (5, 6)
    assert narrow((10, 10), 156, count=affine(100, (7, 3))) == (5, 7)
    # Seven: equal remainders of zero, and the first in the module comes first.
    assert narrow((10, 10), 157, count=affine(100, (7, 3))) == (6, 5)


def test_a_narrow_layer_keeps_one_channel_where_the_ratio_would_leave_less():
    # Ratio 1/10: 1 of 10 and 0.2 of 2.
    assert narrow((2, 10), 2, count=affine(0, (1, 1))) == (1, 1)
    assert narrow((2, 20), 4, count=affine(0, (1, 1))) == (1, 3)


def test_less_than_one_channel_is_refused():
    message = r"less than one channel: with one in each, the net has 1,010 weights, and the budget"
    with pytest.raises(InputError, match=message + r" is 1,009; use a smaller width or a wider"):
        narrow((10, 10), 1009, count=affine(1000, (7, 3)))


def test_a_net_without_narrowed_layers_is_refused():
    with pytest.raises(InputError, match="no layers that could be narrowed"):
        narrow((), 100, count=affine(5, ()))


def test_the_architectures_that_can_be_narrowed():
    assert isinstance(MLP, Narrowable)
    assert isinstance(ResNet18, Narrowable)
    assert not isinstance(BasicBlock, Narrowable)
    assert not isinstance(lambda width: width, Narrowable)
