"""What is measured of a net, against its own arithmetic."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from wider.data import Preprocessing, load, prepare
from wider.runs import MEASUREMENTS, RunSpec, Store, execute

NET = {
    "data": {"dataset": "digits", "num_train": 200},
    "widening": {"base_width": 2, "width": 5},
    "recipe": {"epochs": 1},
}
TEST = prepare(load("digits"), Preprocessing(dataset="digits", num_train=200)).part("test")


def spec_of(*measurements: object) -> RunSpec:
    return RunSpec.model_validate({**NET, "measurements": measurements})


def test_activations_and_gradients_by_hand(tmp_path):
    spec = spec_of({"name": "activations", "examples": 50}, "gradient-norms")
    store = Store(tmp_path)
    run = execute(spec, store)
    trained = store.load_model(run)
    images, labels = TEST[0][:50].flatten(1), TEST[1]
    with torch.no_grad():
        hidden = trained.hidden[0](images).double()  # pyright: ignore
    found = run.result.measured["activations"]
    assert found["after hidden.0 mean square"] == pytest.approx(float(hidden.square().mean()))
    assert found["after hidden.0 share above 0"] == pytest.approx(float((hidden > 0).sum()) / 250)
    # 100 examples by default.
    loss = cross_entropy(trained(TEST[0][:100]), labels[:100])
    loss.backward()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None
        norm = run.result.measured["gradient-norms"][f"after {name}"]
        assert norm == pytest.approx(float(parameter.grad.norm()), rel=1e-5)
    assert {name.split()[0] for name in found} == {"before", "after"}


def test_what_is_measured_changes_nothing_of_the_run(tmp_path):
    plain, measured = (Store(tmp_path / name) for name in ("plain", "measured"))
    first, second = execute(spec_of(), plain), execute(spec_of(*MEASUREMENTS), measured)
    assert first.spec.key != second.spec.key
    columns = ["train_loss", "test_loss", "test_accuracy"]
    tables = [run.history.to_table()[columns] for run in (first, second)]
    assert tables[0].equals(tables[1])
    nets = [store.load_model(run) for store, run in ((plain, first), (measured, second))]
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert set(second.result.measured) == set(MEASUREMENTS)


def test_the_kernel_distance_is_the_field_of_that_name():
    asked = spec_of({"name": "kernel-distance", "pairs": 30}, "activations")
    assert asked.kernel_pairs == 30
    assert (
        asked.key
        == RunSpec.model_validate({**NET, "kernel_pairs": 30, "measurements": ["activations"]}).key
    )
    with pytest.raises(ValidationError, match="the kernel distance is asked for twice"):
        RunSpec.model_validate({**NET, "kernel_pairs": 3, "measurements": ["kernel-distance"]})
    with pytest.raises(ValidationError, match="kernel-distance has no 'masks'"):
        spec_of({"name": "kernel-distance", "masks": 3})


@pytest.mark.parametrize(
    ("measurement", "message"),
    [
        ("activation", "unknown measurement 'activation'; use 'activations', 'gradient-norms'"),
        ({"name": "activations", "examples": 0}, "greater than or equal to 1"),
        ("activations", "activations twice: once is enough"),
    ],
)
def test_measurements_that_cannot_be(measurement: object, message: str):
    with pytest.raises(ValidationError, match=message):
        spec_of("activations", measurement)
