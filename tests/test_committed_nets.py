"""The nets of committed runs stay what they were: masks, initial weights, counts.

`committed_nets.json` was written before what a weight is became a registry of rules. To add the
nets of new tables: `python -P tests/test_committed_nets.py` (it never changes those there are).
"""

import hashlib
import json
import math
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wider.runs import RunSpec, read_table
from wider.sparsity import BudgetWarning, connectivity, count_weights
from wider.study import EXPERIMENTS
from wider.tasks import Task

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).with_name("committed_nets.json")
IMAGES = {
    "digits": (1, 8),
    "mnist": (1, 28),
    "cifar10": (3, 32),
    "cifar100": (3, 32),
    "svhn_10k": (3, 32),
}


def committed_specs() -> dict[str, RunSpec]:
    """One run of every net that a committed table holds, by key."""
    specs: dict[str, RunSpec] = {}
    nets = set()
    for experiment in EXPERIMENTS.values():
        for scale in experiment.scales.values():
            path = ROOT / "results" / f"{experiment.name}-{scale.name}.csv"
            if not path.exists():
                continue
            keys = set(read_table(path)["key"])
            for spec in scale.specs():
                net = (spec.model, spec.widening.model_dump_json(), image_shape(spec), spec.seed)
                if spec.key in keys and spec.seed == 0 and net not in nets:
                    nets.add(net)
                    specs[spec.key] = spec
    return specs


def image_shape(spec: RunSpec) -> tuple[int, int, int]:
    channels, size = IMAGES[spec.data.dataset]
    size = spec.data.shrunk_to or size
    return (1 if spec.data.grey else channels, size, size)


def fingerprint(spec: RunSpec) -> dict[str, object]:
    """What a net is: weights kept by layer, where, and sums over the initial ones."""
    num_classes = len(spec.data.classes) or (100 if spec.data.dataset == "cifar100" else 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        net = spec.build(Task.of_images(image_shape(spec), num_classes))
    weights = {name: _weight(net, name) for name in connectivity(net) if name}
    places = hashlib.sha256()
    for weight in weights.values():
        places.update(np.packbits((weight != 0).numpy()).tobytes())
    return {
        "num_weights": count_weights(net),
        "kept": {name: int((weight != 0).sum()) for name, weight in weights.items()},
        "places": places.hexdigest(),
        "sums": [float(each) for weight in weights.values() for each in _sums(weight)],
        "biases": sum(
            float(parameter.detach().double().abs().sum())
            for name, parameter in net.named_parameters()
            if name.endswith("bias")
        ),
    }


def _weight(net: nn.Module, layer: str) -> Tensor:
    weight = net.get_submodule(layer).weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def _sums(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Of squares, and of entries whose signs alternate, so that their order counts."""
    flat = weight.double().flatten()
    return (flat**2).sum(), (flat * torch.cos(torch.arange(len(flat)))).sum()


@cache
def known() -> dict[str, dict[str, object]]:
    return json.loads(FILE.read_text())


def test_every_committed_net_is_known():
    assert set(committed_specs()) <= set(known())


@pytest.mark.parametrize("part", range(8))
def test_committed_nets_are_what_they_were(part: int):
    specs = list(committed_specs().items())[part::8]
    assert specs
    for key, spec in specs:
        found, expected = fingerprint(spec), known()[key]
        assert found["num_weights"] == expected["num_weights"], spec.title
        assert found["kept"] == expected["kept"], spec.title
        assert found["places"] == expected["places"], spec.title
        # To rounding: instruction sets differ in the last bit of a logarithm.
        tolerance = 1e-5 * math.sqrt(float(expected["num_weights"]))  # pyright: ignore
        assert found["sums"] == pytest.approx(expected["sums"], rel=1e-5, abs=tolerance)
        assert found["biases"] == pytest.approx(expected["biases"], rel=1e-5)


if __name__ == "__main__":
    kept = known() if FILE.exists() else {}
    new = {key: fingerprint(spec) for key, spec in committed_specs().items() if key not in kept}
    FILE.write_text(json.dumps(kept | new, separators=(",", ":")) + "\n")
