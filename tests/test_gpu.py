"""What can only be seen on a GPU; skipped where there is none."""

from pathlib import Path

import pytest
import torch

from wider.data import Preprocessing, TrainingData, load_large, prepare
from wider.families import Family
from wider.models import MLP, ResNet18
from wider.runs import RunSpec, Store, Widening, execute
from wider.sparsity import connectivity, mask_of
from wider.training import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_masks_follow_the_net_and_are_those_of_the_cpu():
    family = Family(ResNet18, base_width=8)
    on_cpu, on_gpu = family.sparse(32, seed=1), family.sparse(32, seed=1).cuda()
    assert connectivity(on_gpu) == connectivity(on_cpu)
    for ours, theirs in zip(on_cpu.modules(), on_gpu.modules(), strict=True):
        mask = mask_of(ours)
        if mask is not None:
            assert torch.equal(mask, mask_of(theirs).cpu())  # pyright: ignore[reportOptionalMemberAccess]


def test_removed_weights_stay_zero_under_a_fused_optimiser():
    net = Family(MLP, base_width=5).sparse(80, seed=1)
    assert isinstance(net, MLP)
    net = net.cuda()
    optimiser = torch.optim.AdamW(net.parameters(), fused=True)
    for _ in range(5):
        optimiser.zero_grad()
        net(torch.randn(32, 784, device="cuda")).square().sum().backward()
        optimiser.step()
    mask = mask_of(net.hidden[0])
    assert mask is not None
    assert (net.hidden[0].weight[~mask] == 0).all()  # pyright: ignore


def test_building_a_net_leaves_the_gpu_generators_as_they_are():
    before = torch.cuda.get_rng_state_all()
    Family(MLP, base_width=5).sparse(80, seed=1)
    for ours, theirs in zip(before, torch.cuda.get_rng_state_all(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_run_on_the_gpu_is_that_on_the_cpu_to_rounding(tmp_path: Path):
    spec = RunSpec(
        data=Preprocessing(dataset="digits"),
        widening=Widening(base_width=4, width=32),
        recipe=Recipe(epochs=2),
    )
    on_cpu = execute(spec, Store(tmp_path / "cpu"))
    on_gpu = execute(spec, Store(tmp_path / "gpu"), device="cuda")
    for ours, theirs in zip(on_cpu.history, on_gpu.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
        assert ours.test_accuracy == pytest.approx(theirs.test_accuracy, abs=0.01)
    assert on_gpu.result.provenance.device == "cuda"
    assert on_gpu.result.peak_memory > 0


def test_large_images_reach_the_gpu_as_they_are_on_the_cpu(prepared_dir: Path):
    large = load_large("photos", data_dir=prepared_dir, image_size=32)
    data = prepare(large, Preprocessing(dataset="photos", image_size=32), workers=1)

    def epoch(on: TrainingData):
        return on.train_batches(
            torch.arange(17),
            batch_size=5,
            augmentation="resized-crop",
            generator=torch.Generator().manual_seed(1),
        )

    for ours, theirs in zip(epoch(data), epoch(data.to("cuda")), strict=True):
        assert theirs[0].is_cuda
        assert torch.allclose(ours[0], theirs[0].cpu(), atol=1e-5)
        assert torch.equal(ours[1], theirs[1].cpu())
