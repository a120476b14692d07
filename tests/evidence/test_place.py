import math

import numpy as np
import pytest

from wider.evidence import Interval, Mean, Nets, bootstrapped, place_of_best


def curve(best: float, deviation: float, seeds: int = 5) -> Nets:
    return Nets(
        {
            width: Mean(-abs(math.log2(width / best)), deviation**2 / seeds, seeds)
            for width in (4, 8, 16, 32, 64)
        }
    )


def place(nets: Nets) -> Interval:
    found = place_of_best(nets, math.log2)
    assert found is not None
    return found(0.95)


def test_the_interval_is_never_narrower_than_the_grid():
    assert place(curve(16, 0.01)) == pytest.approx((4, 3.5, 4.5))


def test_an_end_of_the_grid_stands_for_nothing_beyond():
    assert place(curve(4, 0.01)) == pytest.approx((2, 2, 2.5))
    assert place(curve(64, 0.01)) == pytest.approx((6, 5.5, 6))


def test_widths_that_may_be_the_best_count():
    value, low, high = place(curve(16, 2.0))
    assert (value, low) == (4, 2)
    assert high == 6


def test_two_points_are_no_curve():
    assert place_of_best(Nets({4: Mean(1, 1, 3), 8: Mean(2, 1, 3)}), math.log2) is None


def test_it_holds_the_best_of_the_grid_as_often_as_it_says():
    generator = np.random.default_rng(0)
    truth = np.array([0.0, 1.0, 1.3, 1.0, 0.0])
    held = 0
    for _ in range(2000):
        values = truth + generator.normal(0, 1, (5, 5))
        nets = Nets(
            {
                2**power: Mean(float(each.mean()), float(each.var(ddof=1)) / 5, 5)
                for power, each in enumerate(values.T, start=2)
            }
        )
        _, low, high = place(nets)
        held += low <= 4 <= high
    assert held / 2000 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_a_bootstrap_covers_as_often_as_it_says():
    generator = np.random.default_rng(4)
    covered = 0
    for sample in generator.normal(0, 1, (600, 8)):
        interval = bootstrapped(lambda drawn, own=sample: own[drawn].mean(-1), 8)
        _, low, high = interval(0.95)
        covered += low <= 0 <= high
    assert covered / 600 == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / 600))


def test_a_plain_percentile_interval_would_not():
    generator = np.random.default_rng(4)
    samples = generator.normal(0, 1, (4000, 5))
    resampled = samples[:, generator.integers(5, size=(500, 5))].mean(-1)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.82, abs=0.02)


def test_so_few_seeds_have_no_bootstrap():
    interval = bootstrapped(lambda drawn: drawn.mean(-1).astype(float), 4)
    assert interval(0.95) == (1.5, -math.inf, math.inf)
