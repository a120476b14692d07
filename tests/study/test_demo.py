import pandas as pd
import pytest

from wider.sparsity import count_weights
from wider.study import demo
from wider.tasks import Task


def results(accuracies: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "method": method,
                "width": width,
                "seed": seed,
                "status": "finished",
                "num_weights": 296 if method == "sparse" else 74 * width,
                "best_test_accuracy": accuracy,
                "final_test_accuracy": accuracy,
                "final_train_accuracy": accuracy,
                "num_effective_weights": 0,
                "connectivity": 1.0,
                "multiply_adds": 0,
            }
            for (method, width), values in accuracies.items()
            for seed, accuracy in enumerate(values)
        ]
    )


def test_the_family_keeps_its_budget_and_the_control_does_not():
    for spec in demo.EXPERIMENT.scale("laptop").specs():
        net = spec.build(Task.of_images((1, 8, 8), 10))
        budget = 296 if spec.widening.method == "sparse" else 74 * spec.widening.width
        assert count_weights(net) == budget


def test_the_dense_baseline_starts_both_lines():
    means = demo.summarise(results({("dense", 4): [0.8, 0.9], ("sparse", 16): [0.95, 0.97]}))
    by_net = means.set_index(["method", "width"])["final_test_accuracy"]
    assert by_net["sparse", 4] == by_net["dense", 4] == pytest.approx(0.85)
    assert len(means) == 3


def test_the_finding_states_gain_width_and_seeds():
    means = demo.summarise(
        results(
            {("dense", 4): [0.8, 0.9], ("dense", 16): [0.99, 0.99], ("sparse", 16): [0.95, 0.97]}
        )
    )
    sentence = demo.finding(means)
    assert "width 16 reaches 96.0%" in sentence
    assert "+11.0 points" in sentence
    assert "mean of 2 seeds" in sentence
