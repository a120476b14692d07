"""What can only be seen on a GPU; skipped where there is none."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from wider.data import PreparedData, Preprocessing, TrainingData, load_large, prepare
from wider.families import Family
from wider.models import MLP, ResNet18, ResNet18Spec
from wider.randomness import stream
from wider.runs import RunSpec, Store, Widening, execute
from wider.sparsity import connectivity, mask_of, stored_weight, weight_layers
from wider.training import Precision, Recipe, Speed, Trainer

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


# PyTorch's compiler has advice to give, TF32 among it, and deprecated parts of its own.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_sparse_resnet_learns_goes_on_and_keeps_its_masks(
    precision: Precision,
):
    labels = torch.arange(300) % 10
    images = torch.randn(300, 3, 32, 32, generator=stream(0, "tests")) + labels.view(-1, 1, 1, 1)
    half = images[:100], labels[:100]
    data = PreparedData(images, labels, *half, *half, num_classes=10, black=torch.zeros(3)).to(
        "cuda"
    )
    recipe = Recipe(
        epochs=4,
        batch_size=128,  # the last batch has 44 images
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=1e-2,
        augmentation="crop-flip",
    )

    def trainer() -> Trainer:
        net = Family(ResNet18, base_width=4).sparse(16, seed=1).cuda()
        return Trainer(net, data, recipe, seed=0, precision=precision)

    first = trainer()
    assert first.name.endswith("channels last, compiled")
    assert ("bfloat16" in first.name) == (precision == "bfloat16")
    for _ in range(2):
        first.run_epoch()
    states = []
    first.run_epoch(lambda _: states.append(first.state()))
    assert len(states) == 3
    second = trainer()
    second.load_state(safetensors.torch.load(safetensors.torch.save(states[1])))
    for one in (first, second):
        while not one.finished:
            one.run_epoch()
    # cuDNN adds up gradients in an order that is not always the same.
    for row, other in zip(first.history, second.history, strict=True):
        assert row.train_loss == pytest.approx(other.train_loss, rel=0.05)
    assert first.history[-1].train_loss < 0.8 * first.history[0].train_loss
    for layer in weight_layers(second.model).values():
        mask = mask_of(layer)
        if mask is not None:
            assert layer.weight.dtype == torch.float32
            assert (layer.weight[~mask] == 0).all()
            assert (stored_weight(layer)[~mask] == 0).all()


@pytest.mark.filterwarnings("default")
def test_more_nets_than_are_compiled_at_once_are_trained_in_one_process(tmp_path: Path):
    specs = [
        RunSpec(
            data=Preprocessing(dataset="digits", num_train=64),
            model=ResNet18Spec(),
            widening=Widening(base_width=1, width=2),
            recipe=Recipe(epochs=1, batch_size=32),
            seed=seed,
        )
        for seed in range(10)
    ]
    store = Store(tmp_path)
    runs = [execute(spec, store, device="cuda", precision="bfloat16") for spec in specs]
    engines = {run.result.provenance.engine for run in runs}
    assert engines == {"torch, masked, bfloat16, channels last, compiled"}
    assert all(run.result.status == "finished" for run in runs)


@pytest.mark.filterwarnings("default")
def test_compiled_and_plain_steps_agree(monkeypatch: pytest.MonkeyPatch):
    labels = torch.arange(64) % 10
    images = torch.randn(64, 3, 32, 32, generator=stream(0, "tests")) + labels.view(-1, 1, 1, 1)
    data = PreparedData(images, labels, *[images[:32], labels[:32]] * 2, num_classes=10).to("cuda")
    losses = {}
    for kind in ("plain", "compiled"):
        if kind == "plain":
            monkeypatch.setattr(Speed, "of", lambda *_: Speed())
        else:
            monkeypatch.undo()
        net = Family(ResNet18, base_width=4).sparse(16, seed=1).cuda()
        trainer = Trainer(net, data, Recipe(epochs=1, batch_size=32, learning_rate=0.01), seed=0)
        losses[kind] = trainer.run_epoch().train_loss
    # TF32 has 11 bits.
    assert losses["compiled"] == pytest.approx(losses["plain"], rel=5e-3)


@pytest.mark.filterwarnings("default")
def test_seeds_that_share_what_was_compiled_are_trained_as_if_alone():
    labels = torch.arange(256) % 10
    images = torch.randn(256, 3, 32, 32, generator=stream(0, "tests")) + labels.view(-1, 1, 1, 1)
    half = images[:64], labels[:64]
    data = PreparedData(images, labels, *half, *half, num_classes=10).to("cuda")
    recipe = Recipe(epochs=2, batch_size=64, learning_rate=0.01, momentum=0.9)

    def trained(seed: int, shape: str | None) -> Trainer:
        net = Family(ResNet18, base_width=4).sparse(16, seed=seed).cuda()
        trainer = Trainer(net, data, recipe, seed=seed, shape=shape)
        while not trainer.finished:
            trainer.run_epoch()
        trainer.update_model()
        return trainer

    shared = [trained(seed, "one") for seed in range(3)]
    alone = [trained(seed, None) for seed in range(3)]
    assert len({trainer.history[0].train_loss for trainer in alone}) == 3
    for ours, theirs in zip(shared, alone, strict=True):
        for row, other in zip(ours.history, theirs.history, strict=True):
            assert row.train_loss == pytest.approx(other.train_loss, rel=5e-3)
            assert row.test_loss == pytest.approx(other.test_loss, rel=5e-2)
        for one, other in zip(
            weight_layers(ours.model).values(), weight_layers(theirs.model).values(), strict=True
        ):
            assert torch.equal(mask_of(one), mask_of(other)) if mask_of(one) is not None else True  # pyright: ignore[reportArgumentType]
            assert torch.equal(one.weight == 0, other.weight == 0)
            torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=2e-2)
