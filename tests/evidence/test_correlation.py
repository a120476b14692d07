"""Rank correlations, from tables whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from wider.evidence import Correlation, Evidence, rank_correlation


def table(errors: np.ndarray) -> pd.DataFrame:
    """One row per seed and point; the distance is the point's number, the error is given."""
    seeds, points = np.indices(errors.shape)
    return pd.DataFrame(
        {
            "seed": seeds.ravel(),
            "point": points.ravel(),
            "distance": 1.0 + points.ravel(),
            "error": errors.ravel(),
            "status": "finished",
        }
    )


def correlate(rows: pd.DataFrame):
    return rank_correlation(rows, "distance", "error", by=["point"])


def evidence_of(found: Correlation) -> Evidence:
    assert found.evidence is not None
    return found.evidence


def test_by_hand():
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * (1 + 1) / (4 * 15) = 0.8, whatever the seeds.
    found = correlate(table(np.tile([1.0, 3.0, 2.0, 4.0], (5, 1))))
    evidence = evidence_of(found)
    assert evidence.effect == pytest.approx((0.8, 0.8, 0.8))
    assert evidence.seeds == 5
    assert found.note == "; rank correlation 0.80 (0.80 to 0.80)"
    assert found.sentence("a and b") == (
        "Rank correlation of a and b: 0.80, 95% interval 0.80 to 0.80."
    )


def test_the_value_is_scipys():
    errors = np.random.default_rng(3).integers(0, 5, (4, 9)).astype(float)  # with ties
    expected, _ = spearmanr(np.arange(9), errors.mean(0))
    assert evidence_of(correlate(table(errors))).effect.value == pytest.approx(expected)


def test_the_interval_is_as_wide_as_the_noise_over_seeds():
    generator = np.random.default_rng(1)
    trend = np.arange(8.0)
    quiet, loud = (
        evidence_of(correlate(table(trend + generator.normal(0, noise, (10, 8))))).effect
        for noise in (0.01, 6.0)
    )
    assert (quiet.low, quiet.high) == (1, 1)
    assert loud.low < loud.value < loud.high
    assert loud.high - loud.low > 0.1


def test_means_over_seeds_are_ranked_not_single_runs():
    # Each seed alone is out of order; their means are not.
    errors = np.array([[1.0, 9.0, 3.0], [1.0, 0.0, 9.0], [1.0, 0.0, 9.0]])
    assert evidence_of(correlate(table(errors))).effect.value == pytest.approx(1)


def test_points_that_a_seed_lacks_are_left_out():
    rows = table(np.tile([1.0, 2.0, 3.0, 0.0], (3, 1)))
    rows.loc[(rows["point"] == 3) & (rows["seed"] == 1), "status"] = "diverged"
    assert evidence_of(correlate(rows)).effect.value == pytest.approx(1)


def test_so_few_points_tell_nothing():
    found = correlate(table(np.random.default_rng(0).random((5, 2))))
    assert found.evidence is None
    assert found.note == found.sentence("a and b") == ""


def test_so_few_seeds_have_a_value_and_no_interval():
    found = correlate(table(np.tile([1.0, 3.0, 2.0, 4.0], (2, 1))))
    assert evidence_of(found).effect == (pytest.approx(0.8), -math.inf, math.inf)
    assert found.note == "; rank correlation 0.80"
