"""Verdicts from tables of runs: which runs count, and what each claim makes of known truths."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wider.runs import RunSpec, read_table
from wider.study import EXPERIMENTS, ExperimentVerdict, Subject, verdicts
from wider.study.kernel.runs import with_equation_6

from . import worlds
from .tables import table_of

RESULTS = Path(__file__).parents[2] / "results"
WITH_CLAIMS = [name for name, experiment in EXPERIMENTS.items() if experiment.claims]


def table(name: str, scale: str, accuracy: Callable[[RunSpec], float], **columns) -> pd.DataFrame:
    specs = list(EXPERIMENTS[name].scale(scale).specs())

    # Seeds differ a little, in the same way for every net.
    def with_seed(spec: RunSpec) -> float:
        return accuracy(spec) + 0.0001 * spec.seed

    return table_of(specs, with_seed).assign(**columns)


def found(runs: pd.DataFrame) -> dict[str, ExperimentVerdict]:
    return {each.claim.name: each for each in verdicts(runs, EXPERIMENTS)}


def outcomes(runs: pd.DataFrame, name: str) -> dict[str, str]:
    """Of the claims of one experiment."""
    return {each.claim.name: each.outcome for each in verdicts(runs, {name: EXPERIMENTS[name]})}


def test_every_claim_has_a_name_of_its_own_a_place_a_subject_and_a_border():
    claims = [claim for each in EXPERIMENTS.values() for claim in each.claims]
    assert len({claim.name for claim in claims}) == len(claims) > 70
    assert {claim.subject for claim in claims} == set(Subject)
    for experiment in EXPERIMENTS.values():
        for claim in experiment.claims:
            assert claim.name.startswith(f"{experiment.name}-")
            assert claim.says.endswith(".")
            assert claim.place
            assert claim.holds_where


def test_without_runs_nothing_has_been_run():
    runs = table("demo", "laptop", lambda _: 0.9)
    assert {each.outcome for each in found(runs).values()} == {"not yet run"}


@pytest.mark.parametrize("name", WITH_CLAIMS)
def test_every_claim_is_supported_where_the_paper_is_right(name: str):
    judged = outcomes(worlds.table(name), name)
    assert {claim for claim, word in judged.items() if word != "supported"} == set()


@pytest.mark.parametrize("name", WITH_CLAIMS)
def test_every_claim_is_contradicted_where_it_is_wrong(name: str):
    judged = outcomes(worlds.table(name, right=False), name)
    # Equation (6) and Theorem 1 on normal inputs are computed, not measured.
    known = {"figure-7-equation-6-inputs"}
    assert {claim for claim, word in judged.items() if word != "contradicted"} - known == set()


def test_the_largest_scale_that_can_give_a_verdict_does_and_smoke_never():
    worse = {"laptop": 0.02, "paper": -0.02}
    parts = {
        name: table(
            "figure-4",
            name,
            lambda spec, by=by: 0.9 + by * (spec.widening.width > 5),
        )
        for name, by in {**worse, "smoke": 0.02}.items()
    }
    assert found(parts["smoke"])["figure-4-relu-gain"].outcome == "not yet run"
    both = pd.concat([parts["laptop"], parts["paper"]])
    assert found(both)["figure-4-relu-gain"].outcome == "contradicted"
    # Of the paper's scale only one net is there: the smaller scale has to do.
    part = pd.concat([parts["laptop"], parts["paper"].iloc[:1]])
    verdict = found(part)["figure-4-relu-gain"]
    assert verdict.outcome == "supported"
    assert verdict.scale is EXPERIMENTS["figure-4"].scales["laptop"]


def test_what_a_verdict_rests_on_is_named():
    verdict = found(worlds.table("figure-4"))["figure-4-relu-gain"]
    assert verdict.evidence is not None
    assert verdict.evidence.effect.value == pytest.approx(1.57 * 4, abs=0.02)
    assert verdict.evidence.compared == "width 80 (best of 6) less width 5"
    assert (verdict.data, verdict.evidence.seeds) == ("MNIST", 10)
    assert verdict.scale is EXPERIMENTS["figure-4"].scales["paper"]
    assert verdict.p_value is not None
    assert verdict.corrected_p_value is not None
    assert verdict.p_value < verdict.corrected_p_value
    assert verdict.holds_corrected


def test_where_nothing_falls_yet_there_is_nothing_to_see():
    runs = worlds.table("figure-13")
    # The widest net fits best.
    runs["final_train_accuracy"] = runs["width"] / 1000
    assert found(runs)["figure-13-cifar10"].outcome == "not yet run"


def test_nets_that_do_not_fit_say_nothing_of_those_that_do():
    runs = worlds.table("figure-5")
    assert found(runs)["figure-5-fitting-cifar10"].outcome == "supported"
    short = runs.assign(final_train_accuracy=0.9)
    assert found(short)["figure-5-fitting-cifar10"].outcome == "not yet run"


def test_nets_that_are_not_large_say_nothing_of_large_ones():
    runs = table("figure-13", "gpu", lambda _: 0.5)
    assert found(runs)["figure-13-fits-cifar10"].outcome == "not yet run"


def test_re_encoded_images_and_one_seed_are_named():
    verdict = found(table("figure-1", "laptop", lambda _: 0.7))["figure-1-cifar10"]
    assert verdict.data == "re-encoded CIFAR-10"
    assert verdict.outcome == "inconclusive"
    assert verdict.evidence is not None
    assert verdict.evidence.seeds == 1
    assert verdict.p_value is None
    assert verdict.corrected_p_value is None


def test_table_1_is_held_against_the_papers_numbers():
    runs = table("table-1", "paper", lambda spec: 0.6803 if spec.widening.width == 64 else 0.5)
    judged = found(runs)
    assert judged["table-1-dense-64"].outcome == "supported"
    assert judged["table-1-sparse-90"].outcome == "contradicted"
    evidence = judged["table-1-sparse-90"].evidence
    assert evidence is not None
    assert evidence.seeds == 3
    assert evidence.effect.value == pytest.approx(100 * (0.5001 - 0.6956))


def test_a_place_is_no_surer_than_the_grid():
    runs = worlds.table("figure-7")
    optimum = found(runs)["figure-7-optimum"].evidence
    assert optimum is not None
    # Both are best at width 216, which stands for those from 172 to 272, half a step either way.
    half_steps = math.log2(328 / 128) / 2
    assert optimum.effect == pytest.approx((0, -half_steps, half_steps))


def test_a_formula_just_at_the_border_is_rarely_called_wrong():
    # 20% off at every width: the noise of |deviation| would put its mean beyond that.
    runs = worlds.table("figure-7")
    wrong = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(1, 0.2, len(runs))
        formula = with_equation_6(runs)["equation_6"]
        noisy = runs.assign(kernel_distance=formula / 1.2 * noise)
        claim = next(c for c in EXPERIMENTS["figure-7"].claims if c.name == "figure-7-equation-6")
        evidence = claim.measure(noisy)
        assert evidence is not None
        wrong += claim.outcome(evidence) == "contradicted"
    assert wrong == 0  # its interval is the least and the most that all widths may be off


def test_a_verdict_that_holds_alone_may_not_hold_beside_others():
    runs = worlds.table("figure-4")
    # One net gains about four standard errors, no other anything.
    runs["best_test_accuracy"] = 0.9 + np.random.default_rng(3).normal(0, 0.003, len(runs))
    bumped = (runs["width"] == 80) & (runs["activation"] == "relu")
    runs.loc[bumped, "best_test_accuracy"] += 0.0055
    verdict = found(runs)["figure-4-relu-gain"]
    assert verdict.outcome == "supported"
    assert verdict.p_value is not None
    assert verdict.corrected_p_value is not None
    assert verdict.p_value < 0.05 < verdict.corrected_p_value
    assert not verdict.holds_corrected


def test_verdicts_on_the_committed_results():
    """What the README and the page say."""
    names = ["figure-4-paper", "figure-7-paper", "figure-1-gpu", "figure-1-laptop"]
    runs = pd.concat([read_table(RESULTS / f"{name}.csv") for name in names])
    judged = {name: each.outcome for name, each in found(runs).items()}
    assert judged["figure-4-relu-gain"] == judged["figure-4-linear-gain"] == "supported"
    assert judged["figure-7-correlation"] == "supported"
    assert judged["figure-7-law"] == "supported"
    assert judged["figure-7-equation-6"] == "inconclusive"
    assert judged["figure-7-equation-6-inputs"] == "supported"
    assert judged["figure-1-cifar10"] == "supported"
    assert judged["table-1-dense-64"] == "not yet run"
