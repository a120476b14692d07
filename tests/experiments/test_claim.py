"""The rule by which claims are judged, on synthetic results whose truth is known."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    by_seed,
    mean_interval,
    measured,
    picked_and_confirmed,
)

NOISE = 0.002  # of an accuracy, over seeds
STUDIES = 4000


def claim(**ends: Any) -> Claim:
    return Claim("a", "it gains", "Section 1", "gain", lambda *_: None, **ends)


def outcome(low: float, high: float, **ends: float) -> str:
    evidence = Evidence(Interval((low + high) / 2, low, high), 5, "")
    return claim(**ends).outcome(evidence)


def test_the_whole_interval_decides():
    assert outcome(0.1, 2, above=0) == "supported"
    assert outcome(-2, -0.1, above=0) == "contradicted"
    assert outcome(-1, 1, above=0) == "inconclusive"
    assert outcome(-0.2, 0.2, above=-0.3, below=0.3) == "supported"
    assert outcome(0.31, 0.5, above=-0.3, below=0.3) == "contradicted"
    assert outcome(-0.2, 0.4, above=-0.3, below=0.3) == "inconclusive"
    assert outcome(math.nan, math.nan, above=0) == "inconclusive"


def test_borders_are_told_in_words():
    assert claim(above=0).holds_where == "above 0"
    assert claim(above=-0.3, below=0.3).holds_where == "above -0.3 and below 0.3"


def test_the_interval_is_students():
    values = pd.Series([1.0, 2.0, 4.0])
    found = mean_interval(values, 0.9)
    low, high = stats.t.interval(0.9, 2, loc=7 / 3, scale=math.sqrt(7 / 3 / 3))
    assert found == pytest.approx((7 / 3, low, high))
    assert math.isnan(mean_interval(pd.Series([3.0]), 0.95).low)


def picks_best(means: pd.Series) -> Contrast:
    best: Any = means.drop(0).idxmax()
    return Contrast({best: 1, 0: -1}, f"net {best} less net 0")


def test_the_seeds_that_pick_do_not_measure():
    # On the first two seeds net 1 is the best; on the others it is not, and its gain is 1 there.
    values = pd.DataFrame(
        {0: [0.5] * 5, 1: [0.9, 0.9, 0.51, 0.51, 0.51], 2: [0.6, 0.6, 0.8, 0.8, 0.8]}
    )
    found = picked_and_confirmed(values, picks_best, 0.95)
    assert found is not None
    assert found.effect == pytest.approx((1, 1, 1))
    assert found.seeds == 3
    assert found.compared == "net 1 less net 0; picked on 2 seeds, measured on 3 other"


def test_seeds_that_only_some_nets_have_confirm():
    values = pd.DataFrame({0: [0.5] * 5, 1: [0.6] * 5, 2: [0.55, 0.55, None, None, None]})
    found = picked_and_confirmed(values, picks_best, 0.95)
    assert found is not None
    assert found.effect == pytest.approx((10, 10, 10))
    assert found.compared == "net 1 less net 0; picked on 2 seeds, measured on 3 other"


def test_one_seed_has_no_interval_and_none_no_evidence():
    one = pd.DataFrame({0: [0.5], 1: [0.7]})
    found = picked_and_confirmed(one, picks_best, 0.95)
    assert found is not None
    assert found.effect.value == pytest.approx(20)
    assert math.isnan(found.effect.low)
    assert found.compared.endswith("picked and measured on one seed")
    assert picked_and_confirmed(one.assign(**{"2": math.nan}), picks_best, 0.95) is None


def test_nets_that_a_claim_names_are_measured_on_all_seeds():
    values = pd.DataFrame({0: [0.5, 0.6, 0.7], 1: [0.52, 0.63, 0.74]})
    found = measured(values, Contrast({1: 1, 0: -1}, "", less=0.01), 0.95)
    assert found is not None
    assert found.seeds == 3
    assert found.effect == pytest.approx(mean_interval(pd.Series([1.0, 2.0, 3.0]), 0.95))
    assert measured(values, Contrast({7: 1}, ""), 0.95) is None


def test_a_diverged_run_counts_nothing():
    table = pd.DataFrame(
        {
            "seed": [0, 0, 1, 1],
            "width": [4, 8, 4, 8],
            "status": ["finished", "finished", "finished", "diverged"],
            "best_test_accuracy": [0.5, 0.6, 0.5, 0.9],
        }
    )
    assert by_seed(table, ["width"]).to_numpy().tolist() == [[0.5, 0.6], [0.5, 0.0]]


def outcomes(gains: list[float], num_seeds: int, study_seed: int) -> list[str]:
    """Verdicts on "the best net gains" in many studies of nets with these true gains."""
    generator = np.random.default_rng(study_seed)
    judged = claim(above=0)
    verdicts = []
    for _ in range(STUDIES // 4):
        noise = generator.normal(0, NOISE, (num_seeds, len(gains) + 1))
        values = pd.DataFrame(0.9 + np.array([0, *gains]) + noise)
        found = picked_and_confirmed(values, picks_best, 0.95)
        assert found is not None
        verdicts.append(judged.outcome(found))
    return verdicts


@pytest.mark.parametrize("num_seeds", [5, 10])
def test_false_verdicts_are_as_rare_as_stated_even_when_the_best_of_seven_is_picked(
    num_seeds: int,
):
    # No net gains anything: "supported" and "contradicted" are both wrong, 2.5% each.
    verdicts = outcomes([0.0] * 7, num_seeds, study_seed=1)
    expected, count = 0.025, len(verdicts)
    error = math.sqrt(expected * (1 - expected) / count)
    for wrong in ("supported", "contradicted"):
        assert verdicts.count(wrong) / count == pytest.approx(expected, abs=3.5 * error)


def test_picking_and_measuring_on_the_same_seeds_would_be_wrong_more_often():
    # Why the rule is what it is: the best of seven by the same ten runs "gains" far too often.
    generator = np.random.default_rng(2)
    wrong = 0
    for _ in range(STUDIES // 4):
        values = pd.DataFrame(0.9 + generator.normal(0, NOISE, (10, 8)))
        best: Any = values.mean().drop(0).idxmax()
        wrong += mean_interval(values[best] - values[0], 0.95).low > 0
    assert wrong / (STUDIES // 4) > 0.1


def test_a_gain_of_three_deviations_is_found():
    # Power: five confirming seeds, a paired difference of deviation NOISE * sqrt(2).
    effect = 3 * NOISE
    noncentrality = effect / (NOISE * math.sqrt(2) / math.sqrt(5))
    expected = float(stats.nct.sf(stats.t.ppf(0.975, 4), 4, noncentrality))
    assert expected > 0.9
    verdicts = outcomes([effect], 10, study_seed=3)
    error = math.sqrt(expected * (1 - expected) / len(verdicts))
    assert verdicts.count("supported") / len(verdicts) == pytest.approx(expected, abs=3.5 * error)


def test_the_interval_covers_as_often_as_it_says_and_a_bootstrap_does_not():
    generator = np.random.default_rng(4)
    samples = generator.normal(0, 1, (STUDIES, 5))
    found = [mean_interval(pd.Series(sample), 0.95) for sample in samples]
    covered = np.mean([low <= 0 <= high for _, low, high in found])
    error = math.sqrt(0.95 * 0.05 / STUDIES)
    assert covered == pytest.approx(0.95, abs=3.5 * error)
    resampled = samples[:, generator.integers(5, size=(500, 5))].mean(-1)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.82, abs=0.02)
