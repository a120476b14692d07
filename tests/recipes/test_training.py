"""timm's optimisers and averages, skorch, and two processes of DDP and FSDP2."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import wider

from ..ecosystem.net import library
from .blocks import BLOCKS, assert_same, assert_zeros_in_place, executed, removed


@pytest.fixture(autouse=True, scope="module")
def timm() -> None:
    library("timm")


@pytest.mark.parametrize("name", ["muon", "adamw", "lion", "sgd"])
def test_timms_optimisers_decay_matrices_alone_and_leave_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    heading = "timm's optimisers and averaged weights"
    (block,) = BLOCKS[heading]
    monkeypatch.setitem(BLOCKS, heading, [block.replace('opt="muon"', f'opt="{name}"')])
    names = executed(heading, tmp_path)
    decays = {
        id(each): group["weight_decay"]
        for group in names.optimiser.param_groups
        for each in group["params"]
    }
    for each in names.net.parameters():
        assert decays[id(each)] == (0.1 if each.dim() > 1 else 0)
    for net in (names.net, names.average.module):
        assert wider.count_weights(net) == 80
        assert_zeros_in_place(net)
    start = names.family.sparse(width=16, seed=0).output.weight
    moved = [(each.output.weight - start).abs().max() for each in (names.net, names.average.module)]
    assert 0 < moved[1] < moved[0]


def test_averages_are_those_of_the_weights():
    from timm.utils.model_ema import ModelEmaV3

    net: Any = nn.Sequential(nn.Linear(4, 4))
    wider.sparsify(net, num_weights=8, seed=0)
    average = ModelEmaV3(net, decay=0.75)
    before = net[0].weight.detach().clone()
    net[0].weight = before + 1  # in the kept places
    average.update(net)
    expected = torch.where(removed(net[0]), 0, before + 0.25)
    torch.testing.assert_close(average.module[0].weight, expected)


def test_skorch_pickles_clones_and_validates(tmp_path: Path):
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    names = executed("skorch", tmp_path)
    labels = np.arange(64) % 4
    assert (
        names.again.predict_proba(names.inputs) == names.classifier.predict_proba(names.inputs)
    ).all()
    assert_same(names.again.module_, names.classifier.module_)
    fresh: Any = clone(names.classifier)
    fresh.fit(names.inputs, labels)
    for fitted in (names.again, fresh):
        assert wider.count_weights(fitted.module_) == 80
        assert_zeros_in_place(fitted.module_)
    assert cross_val_score(names.classifier, names.inputs, labels, cv=2).shape == (2,)
    names.classifier.save_params(f_params=tmp_path / "parameters.pt")
    other: Any = clone(names.classifier)
    other.initialize()
    other.load_params(f_params=tmp_path / "parameters.pt")
    assert_same(other.module_, names.classifier.module_)


def family() -> wider.Family:
    return wider.Family(wider.models.MLP, base_width=4, in_features=16, num_classes=4)


def alone() -> nn.Module:
    """What one process trains on whole batches."""
    net = family().sparse(16, seed=0)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01)
    for step in range(10):
        inputs = torch.randn(8, 16, generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(net(inputs), torch.arange(8) % 4).backward()
        optimiser.step()
        optimiser.zero_grad()
    return net


def in_two_processes(folder: Path, code: str) -> None:
    (folder / "train.py").write_text(code)
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", ["DDP", "FSDP2"])
def test_two_processes_take_the_steps_of_one(tmp_path: Path, way: str):
    (block,) = BLOCKS[f"Two processes: {way}"]
    counted = re.compile(r"^(wider\.count_weights\(.*\))  # 80$", re.MULTILINE)
    assert counted.search(block)
    # Each process says what it counts, in a file of its own.
    code = counted.sub(r'open(f"counted-{rank}", "w").write(str(\1))', block)
    in_two_processes(tmp_path, code)
    assert [(tmp_path / f"counted-{rank}").read_text() for rank in (0, 1)] == ["80", "80"]
    found = wider.load(tmp_path / "net.safetensors", lambda: family().dense(16))
    expected = alone()
    assert_zeros_in_place(found)
    for (name, one), other in zip(
        found.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6, msg=name)


def test_a_sharded_net_is_counted_loaded_and_refused(tmp_path: Path):
    in_two_processes(tmp_path, Path(__file__).with_name("sharded.py").read_text())
    assert (tmp_path / "done-0").exists()
    assert (tmp_path / "done-1").exists()
