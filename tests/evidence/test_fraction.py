import math

import numpy as np
import pytest
from scipy import stats

from wider.evidence import Contrast, Interval, Mean, Nets, fraction_of_gain

PART = Contrast({"sparse": 1, "base": -1}, "width 8")
WHOLE = Contrast({"dense": 1, "base": -1}, "width 8")


def nets(sparse: list[float], dense: list[float], base: list[float]) -> Nets:
    values = {"sparse": sparse, "dense": dense, "base": base}
    return Nets(
        {
            net: Mean(
                float(np.mean(each)),
                float(np.var(each, ddof=1)) / len(each) if len(each) > 1 else math.nan,
                len(each),
            )
            for net, each in values.items()
        }
    )


def fraction(found: Nets) -> Interval:
    evidence = fraction_of_gain(found, PART, WHOLE)
    assert evidence is not None
    return evidence.effect


def test_one_seed_has_a_ratio_but_no_ends():
    value, low, high = fraction(nets([0.53], [0.54], [0.5]))
    assert value == pytest.approx(0.75)
    assert (low, high) == (-math.inf, math.inf)


@pytest.mark.parametrize("dense", [0.5, 0.4])
def test_no_gain_has_no_part(dense: float):
    assert math.isnan(fraction(nets([0.6, 0.61], [dense, dense], [0.5, 0.5])).value)


def test_a_net_that_is_missing():
    assert fraction_of_gain(Nets({"sparse": Mean(1, 1, 2)}), PART, WHOLE) is None


def test_the_ends_are_those_that_welchs_test_just_rejects():
    # With nothing to the baseline's error, sparse - r dense has two errors only.
    sparse, dense = [3.0, 3.4, 2.7, 3.1], [4.0, 4.3, 4.1, 3.8]
    found = fraction(nets(sparse, dense, [0.0, 0.0, 0.0]))
    assert found.low < found.value < found.high
    for end in found[1:]:
        _, p_value = stats.ttest_ind(sparse, end * np.array(dense), equal_var=False)
        assert p_value == pytest.approx(0.05)


def test_a_whole_gain_that_may_be_nothing_gives_no_ends():
    value, low, high = fraction(nets([0.6, 0.7, 0.5], [0.4, 0.7, 0.5], [0.5, 0.4, 0.6]))
    assert value == pytest.approx(3)
    assert (low, high) == (-math.inf, math.inf)


def test_the_interval_covers_the_true_ratio_in_95_of_100_cases():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        drawn = generator.normal([0.52, 0.54, 0.5], 0.003, (5, 3)).T.tolist()
        _, low, high = fraction(nets(*drawn))
        covered += low <= 0.5 <= high
    # Two standard errors of a share of .95 among 1,000 are .014; Welch's test errs on this side.
    assert 0.935 <= covered / 1000 <= 0.975
