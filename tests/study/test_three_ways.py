"""All three ways to widen, from tables whose truth is known."""

import pandas as pd
import pytest

from wider.runs import RunSpec
from wider.sparsity import count_weights
from wider.study import EXPERIMENTS, verdicts
from wider.study.mlp import three_ways
from wider.tasks import Task

from .tables import table_of

EXPERIMENT = three_ways.EXPERIMENT
SCALE = EXPERIMENT.scale("laptop")

# Last-epoch accuracy by way and width; tables of tests have it a point below the best epoch's.
TRUTH = {
    "sparse": {16: 0.95, 32: 0.96, 64: 0.97, 128: 0.96},
    "linear_bottleneck": {16: 0.94, 32: 0.955, 64: 0.95, 128: 0.90},
    "nonlinear_bottleneck": {32: 0.94, 64: 0.93, 128: 0.92},
}


def table() -> pd.DataFrame:
    def accuracy(spec: RunSpec) -> float:
        widening = spec.widening
        return TRUTH[widening.method][widening.width] + 0.01 + 1e-4 * spec.seed

    specs = list(SCALE.specs())
    return table_of(specs, accuracy).assign(key=[spec.key for spec in specs])


def test_the_baseline_is_trained_once_and_every_way_has_every_width():
    specs = list(SCALE.specs())
    assert len(specs) == 5 * (4 + 4 + 3)
    assert [spec.seed for spec in specs] == sorted(spec.seed for spec in specs)
    assert {spec.model.table["num_hidden_layers"] for spec in specs} == {2}


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
def test_every_net_exists_and_none_exceeds_its_budget():
    for spec in SCALE.specs()[:11]:
        family = spec.family(Task.of_images((1, 28, 28), 10))
        count = count_weights(spec.build(Task.of_images((1, 28, 28), 10)))
        if spec.widening.method == "sparse":
            assert count == family.num_weights == 12_960
        else:  # whole channels
            linear = spec.widening.method == "linear_bottleneck"
            budget = family.num_explicit_weights if linear else family.num_weights
            assert 0.94 * budget <= count <= budget, spec.title


def test_means_have_the_baseline_in_two_lines():
    means = EXPERIMENT.summarise(table()).set_index(["method", "width"])["final_test_accuracy"]
    assert means["sparse", 16] == means["nonlinear_bottleneck", 16] == pytest.approx(0.9502)
    assert means["linear_bottleneck", 16] == pytest.approx(0.9402)
    assert len(means) == 12


def test_the_picture_names_weights_and_scale():
    (picture,) = EXPERIMENT.draw(table(), SCALE)
    assert SCALE.label in picture.chart.to_json()
    assert picture.caption.startswith("static sparsity: 95.0% at width 16, 96.0% at width 32")
    assert "non-linear bottleneck: 95.0% at width 16, 94.0% at width 32" in picture.caption


def test_claims_hold_where_they_should():
    judged = {each.claim.name: each for each in verdicts(table(), EXPERIMENTS)}
    for name in ("sparse", "linear", "nonlinear", "best"):
        assert judged[f"three-ways-{name}"].outcome == "supported", name
    gain = judged["three-ways-linear"].evidence
    assert gain is not None
    assert gain.effect.value == pytest.approx(1.5)
    best = judged["three-ways-best"].evidence
    assert best is not None
    assert best.effect.value == pytest.approx(1.5)
    assert best.compared.startswith("sparse at width 64 (best of ")
    assert "less linear bottleneck at width 32" in best.compared
    mirrored = table().assign(final_test_accuracy=lambda rows: 1 - rows["final_test_accuracy"])
    opposite = {each.claim.name: each.outcome for each in verdicts(mirrored, EXPERIMENTS)}
    assert opposite["three-ways-sparse"] == "contradicted"
    assert opposite["three-ways-nonlinear"] == "contradicted"
