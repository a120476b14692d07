"""Verdicts on claims from tables that know no experiment."""

import pandas as pd
import pytest

from wider.evidence import (
    Claim,
    Contrast,
    Evidence,
    Verdict,
    corrected,
    difference,
    means_over_seeds,
    verdict_on,
)


def gain(table: pd.DataFrame) -> Evidence | None:
    return difference(means_over_seeds(table, ["net"]), Contrast({"wide": 1, "narrow": -1}, ""))


CLAIM = Claim("gain", "Wide nets win.", "here", "wide less narrow", gain, "width", above=0)


def runs(wide: list[float], narrow: list[float], dataset: str = "digits") -> pd.DataFrame:
    nets = ["wide"] * len(wide) + ["narrow"] * len(narrow)
    return pd.DataFrame(
        {
            "net": nets,
            "dataset": dataset,
            "status": "finished",
            "best_test_accuracy": [*wide, *narrow],
        }
    )


MANY = runs([0.9, 0.91, 0.92], [0.5, 0.51, 0.52])
AGAINST = runs([0.5, 0.51, 0.52], [0.9, 0.91, 0.92])
ONE = runs([0.9], [0.5])


def test_the_first_table_with_an_interval_decides():
    verdict = verdict_on(CLAIM, {"one seed": ONE, "many": MANY, "others": AGAINST})
    assert (verdict.outcome, verdict.decided_by) == ("supported", "many")
    assert verdict.p_value is not None
    assert verdict.p_value < 0.001
    assert verdict_on(CLAIM, {"others": AGAINST, "many": MANY}).outcome == "contradicted"


def test_without_an_interval_the_first_number_is_told_and_decides_nothing():
    verdict = verdict_on(CLAIM, {"one seed": ONE, "another": runs([0.1], [0.5])})
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", "one seed")
    assert verdict.evidence is not None
    assert verdict.evidence.effect.value == pytest.approx(0.4)
    assert verdict.p_value is None


def test_without_its_runs_a_claim_is_not_yet_run():
    elsewhere = Claim(**{**vars(CLAIM), "dataset": "mnist"})
    for claim, tables in ((CLAIM, {}), (CLAIM, {"half": runs([0.9], [])}), (elsewhere, {"": MANY})):
        verdict = verdict_on(claim, tables)
        assert (verdict.outcome, verdict.evidence, verdict.decided_by) == (
            "not yet run",
            None,
            None,
        )


def test_only_runs_of_the_claims_own_dataset_count():
    claim = Claim(**{**vars(CLAIM), "dataset": "digits"})
    both = pd.concat([MANY, runs([0.1] * 3, [0.9] * 3, dataset="mnist")])
    assert verdict_on(claim, {"both": both}).outcome == "supported"


def test_p_values_are_corrected_for_those_that_were_tested():
    p_values = [0.04, None, 0.01, 0.03]
    found = corrected([Verdict(CLAIM, "supported", p_value=each) for each in p_values])
    # Holm: 3 x .01, then 2 x .03, then at least as much.
    assert [each.corrected_p_value for each in found] == [0.06, None, 0.03, 0.06]
    assert [each.holds_corrected for each in found] == [False, False, True, False]
