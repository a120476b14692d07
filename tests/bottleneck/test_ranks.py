import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wider.bottleneck import factorised_weights, ranks
from wider.errors import InputError

sides = st.integers(1, 40)
kernels = st.sampled_from([(), (1, 1), (3, 3), (2, 5)])


@st.composite
def nets(draw):
    """Weight shapes of a baseline and of a net whose sides are each at least as large."""
    baseline, wide = {}, {}
    for index in range(draw(st.integers(1, 6))):
        out, fan_in, kernel = draw(sides), draw(sides), draw(kernels)
        more = st.integers(0, 60)
        baseline[f"layer.{index}"] = (out, fan_in, *kernel)
        wide[f"layer.{index}"] = (out + draw(more), fan_in + draw(more), *kernel)
    return baseline, wide


@st.composite
def widened(draw):
    """Layers all of whose sides are multiplied by one factor that divides every rank."""
    factor = draw(st.integers(1, 5))
    baseline = {
        str(index): (factor * draw(sides), factor * draw(sides), *draw(kernels))
        for index in range(draw(st.integers(1, 5)))
    }
    wide = {name: (factor * m, factor * n, *kernel) for name, (m, n, *kernel) in baseline.items()}
    return baseline, wide, factor


def matrix(shape):
    return shape[0], math.prod(shape[1:])


def full_ranks(shapes):
    return {name: min(matrix(shape)) for name, shape in shapes.items()}


def budget_of(baseline):
    return factorised_weights(baseline, full_ranks(baseline))


def share(baseline, wide, name):
    full = min(matrix(baseline[name]))
    return Fraction(full * sum(matrix(baseline[name])), sum(matrix(wide[name])))


def ranks_if_feasible(baseline, wide):
    """None where a layer would get less than one channel, which is the only excuse."""
    try:
        return ranks(baseline, wide)
    except InputError as error:
        too_few = any(share(baseline, wide, name) < 1 for name in wide)
        if "needs at least one" not in str(error) or not too_few:
            raise
        return None


@given(nets())
def test_the_budget_is_never_exceeded_and_no_further_channel_fits(net):
    baseline, wide = net
    if (found := ranks_if_feasible(baseline, wide)) is None:
        return
    left = budget_of(baseline) - factorised_weights(wide, found)
    assert left >= 0
    for name, shape in wide.items():
        assert found[name] == min(matrix(shape)) or sum(matrix(shape)) > left


@given(nets())
def test_every_layer_gets_at_least_its_share_rounded_down_and_no_more_than_it_can_use(net):
    baseline, wide = net
    if (found := ranks_if_feasible(baseline, wide)) is None:
        return
    assert list(found) == list(wide)
    for name, rank in found.items():
        assert type(rank) is int
        assert max(1, math.floor(share(baseline, wide, name))) <= rank <= min(matrix(wide[name]))


@given(nets())
def test_at_the_baseline_nothing_is_lost(net):
    baseline, _ = net
    assert ranks(baseline, baseline) == full_ranks(baseline)


@given(widened())
def test_widening_both_sides_by_f_divides_the_rank_by_f(net):
    baseline, wide, factor = net
    expected = {name: rank // factor for name, rank in full_ranks(baseline).items()}
    assert ranks(baseline, wide) == expected
    assert factorised_weights(wide, expected) == budget_of(baseline)


@given(nets())
def test_the_same_question_gets_the_same_answer(net):
    baseline, wide = net
    assert ranks_if_feasible(baseline, wide) == ranks_if_feasible(dict(baseline), dict(wide))


def test_the_mlp_of_figure_4_by_hand():
    baseline = {"hidden": (5, 784), "output": (10, 5)}
    assert factorised_weights(baseline, {"hidden": 5, "output": 5}) == 5 * 789 + 5 * 15 == 4020
    # Width 80: shares 3945/864 = 4.57 and 75/90 = 0.83. Four channels of 864 leave 564, the
    # output's remainder is the larger one, and then a sixth of its channels of 90 still fits.
    wide = {"hidden": (80, 784), "output": (10, 80)}
    found = ranks(baseline, wide)
    assert found == {"hidden": 4, "output": 6}
    assert factorised_weights(wide, found) == 4 * 864 + 6 * 90 == 3996


def test_a_convolution_counts_its_taps_as_inputs():
    # (8, 8, 3, 3): r0 = 8, 8 (8 + 72) = 640 weights; doubled, 160 a channel.
    assert ranks({"": (8, 8, 3, 3)}, {"": (16, 16, 3, 3)}) == {"": 4}
    # A 1x1 to 3 x 2: r0 = 2; a 3x3 of one input to 16: r0 = 9.
    assert ranks({"": (3, 2, 1, 1)}, {"": (3, 2, 1, 1)}) == {"": 2}
    assert ranks({"": (16, 1, 3, 3)}, {"": (16, 1, 3, 3)}) == {"": 9}


def test_the_largest_remainder_is_served_first():
    # 8 and 20 weights; 7 a channel; shares 8/7 = 1.14 and 20/7 = 2.86; 7 of the 28 are left.
    baseline = {"a": (2, 2), "b": (2, 8)}
    assert ranks(baseline, {"a": (3, 4), "b": (3, 4)}) == {"a": 1, "b": 3}


def test_a_layer_that_can_use_no_more_lets_the_next_one_have_it():
    # As above, but no more than two channels make sense.
    baseline = {"a": (2, 2), "b": (2, 8)}
    assert ranks(baseline, {"a": (2, 5), "b": (2, 5)}) == {"a": 2, "b": 2}


def test_equal_remainders_are_served_in_the_order_of_the_module():
    # 16 weights each and 10 a channel: shares of 1.6, and 18 of the 48 are left.
    baseline = {"b": (2, 6), "a": (2, 6), "c": (2, 6)}
    wide = {"b": (4, 6), "a": (4, 6), "c": (4, 6)}
    assert ranks(baseline, wide) == {"b": 2, "a": 1, "c": 1}


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (
            640,
            r"layer 'b' \(640 x 640\) would have 0\.039 channels.*use a smaller width or a wider",
        ),
        (161, r"layer 'b' \(161 x 161\) would have 0\.16 channels"),
    ],
)
def test_less_than_one_channel_is_refused_by_name(width, message):
    baseline = {"a": (5, 784), "b": (5, 5)}
    with pytest.raises(InputError, match=message):
        ranks(baseline, {"a": (width, 784), "b": (width, width)})


def test_nets_of_different_layers_are_refused():
    with pytest.raises(InputError, match=r"baseline has layers 'a', the wide net 'a', 'b': .*same"):
        ranks({"a": (2, 2)}, {"a": (4, 4), "b": (4, 4)})
