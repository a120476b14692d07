"""What is done for speed on a GPU, on the CPU: the same numbers, state and masks."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wider.data import PreparedData
from wider.families import Family
from wider.models import MLP, ResNet18
from wider.randomness import default_generator_from, stream
from wider.sparsity import BudgetWarning, mask_of, sparsify, stored_weight, weight_layers
from wider.training import Recipe, SlowEngineWarning, Speed, Trainer, _speed, trainer_for

# PyTorch's own, when its compiler is first imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*script_method. is deprecated:DeprecationWarning")

CLASSES, SIDE = 3, 8
RECIPE = Recipe(
    epochs=2,
    batch_size=12,  # of 32 images, so that the last batch is smaller
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=1e-2,
    augmentation="crop-flip",
)
LIKE_A_GPU = Speed(channels_last=True, compiled=True, fused=True)
SHAPES = [(1, 8), (2, 8), (3, 9), (4, 8)]  # seed, width
METHODS = ("sparse", "dense", "linear_bottleneck", "nonlinear_bottleneck")


@pytest.fixture(autouse=True)
def _without_onednn() -> Iterator[None]:
    """Of oneDNN, 1x1 convolutions of few channels, in this layout and with a stride, write outside
    their memory on processors without AVX-512 (PyTorch 2.13).
    """
    enabled, *_ = torch.backends.mkldnn.set_flags(_enabled=False)
    yield
    torch.backends.mkldnn.set_flags(_enabled=enabled)


@pytest.fixture(scope="module")
def data() -> PreparedData:
    generator = stream(0, "tests")

    def part(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(count) % CLASSES
        images = torch.randn(count, 2, SIDE, SIDE, generator=generator)
        return images + labels.view(-1, 1, 1, 1), labels

    return PreparedData(*part(32), *part(10), *part(5), num_classes=CLASSES, black=torch.zeros(2))


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is compiled, which then computes as it would have uncompiled."""
    found: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(_speed, "COMPILATION", {"backend": backend})
    return found


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Speed], None]:
    """Trainers made from now on compute in this way."""
    return lambda speed: monkeypatch.setattr(Speed, "of", lambda *_: speed)


def resnet(method: str = "sparse") -> nn.Module:
    family = Family(ResNet18, base_width=2, num_classes=CLASSES, in_channels=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        return getattr(family, method)(width=4, seed=1)


def small_net(width: int = 8, seed: int = 0) -> nn.Module:
    with default_generator_from(0, "tests"):
        net = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1, stride=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.Flatten(),
            nn.Linear(width * 16, CLASSES),
        )
    return sparsify(net, num_weights=200, seed=seed)


def trained(
    net: nn.Module, data: PreparedData, recipe: Recipe = RECIPE, **keywords: Any
) -> Trainer:
    trainer = Trainer(copy.deepcopy(net), data, recipe, seed=0, **keywords)
    while not trainer.finished:
        trainer.run_epoch()
    return trainer


def losses(trainer: Trainer) -> list[float]:
    return [loss for row in trainer.history for loss in (row.train_loss, row.test_loss)]


def check_same(trainer: Trainer, expected: Trainer, tolerance: float = 1e-4) -> None:
    assert losses(trainer) == pytest.approx(losses(expected), rel=tolerance)
    state = trainer.state()
    assert list(state) == list(expected.state())
    for name, tensor in expected.state().items():
        if name != "history":  # has the seconds
            torch.testing.assert_close(state[name], tensor, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_a_resnet_is_one_graph_with_the_same_numbers(
    method: str, data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    # In double precision, since rectifiers and BatchNorm enlarge a rounding error step by step.
    recipe, net = RECIPE.model_copy(update={"epochs": 1}), resnet(method).double()
    data = replace(
        data,
        **{
            f"{part}_images": data.part(part)[0].double()
            for part in ("train", "test", "validation")
        },
    )
    expected = trained(net, data, recipe)
    use(LIKE_A_GPU)
    trainer = trained(net, data, recipe)
    check_same(trainer, expected, 1e-9)
    assert len(graphs) == 1  # neither the smaller batch nor the evaluation has another
    assert trainer.name == "torch, masked, TF32 convolutions, channels last, compiled"


def test_the_backward_pass_is_traced_too(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch, use: Callable[[Speed], None]
):
    monkeypatch.setattr(_speed, "COMPILATION", {"backend": "aot_eager"})
    net = small_net()
    expected = trained(net, data)
    use(LIKE_A_GPU)
    check_same(trained(net, data), expected)


def test_nets_of_one_shape_share_what_was_compiled(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    nets = [small_net(width, seed) for seed, width in SHAPES]
    expected = [trained(net, data) for net in nets]
    use(LIKE_A_GPU)
    trainers = []
    for net, (_, width) in zip(nets, SHAPES, strict=True):
        trainer = trained(net, data, shape=f"width {width}")
        trainer.update_model()
        trainers.append(trainer)
    assert len(graphs) == 3  # one for the first two; what came between made the last one anew
    for trainer, alone in zip(trainers, expected, strict=True):
        assert losses(trainer) == pytest.approx(losses(alone), rel=1e-4)
        for name, tensor in alone.model.state_dict().items():
            torch.testing.assert_close(trainer.model.state_dict()[name], tensor)


def test_other_precisions_do_not_share(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    for precision in ("float32", "bfloat16"):
        use(replace(LIKE_A_GPU, precision=precision))
        trained(small_net(), data, shape="one", precision=precision)
    assert len(graphs) == 2


def test_an_interrupted_net_goes_on_in_the_code_of_another(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    use(LIKE_A_GPU)
    expected = trained(small_net(), data)
    first = Trainer(copy.deepcopy(small_net()), data, RECIPE, seed=0, shape="one")
    first.run_epoch()
    state = first.state()
    trained(small_net(seed=5), data, shape="one")  # in between
    second = Trainer(copy.deepcopy(small_net()), data, RECIPE, seed=0, shape="one")
    second.load_state(state)
    second.run_epoch()
    check_same(second, expected)
    assert len(graphs) == 2


def test_many_nets_are_compiled_in_one_process(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    use(LIKE_A_GPU)
    recipe = RECIPE.model_copy(update={"epochs": 1})
    for width in range(8, 20):  # PyTorch's limit is eight
        trained(small_net(width), data, recipe)
    assert len(graphs) == 12


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_removed_weights_stay_zero_however_it_is_computed(
    precision: Any, data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    use(replace(LIKE_A_GPU, precision=precision))
    trainer = trained(resnet(), data)
    state = trainer.state()
    masks = {name: mask_of(layer) for name, layer in weight_layers(trainer.model).items()}
    sparse = {name: mask for name, mask in masks.items() if mask is not None}
    assert sparse
    assert len(graphs) == 1
    for name, mask in sparse.items():
        layer = trainer.model.get_submodule(name)
        momentum = state[f"momentum.{name}.parametrizations.weight.original"]
        for weights in (layer.weight, stored_weight(layer), momentum):  # pyright: ignore
            assert isinstance(weights, Tensor)
            assert weights.dtype == torch.float32
            assert (weights[~mask] == 0).all()
            assert (weights[mask] != 0).any()


@pytest.mark.parametrize("speed", [Speed("bfloat16"), replace(LIKE_A_GPU, precision="bfloat16")])
def test_going_on_from_a_state_is_like_never_having_stopped(
    speed: Speed, data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    use(speed)
    first = Trainer(small_net(), data, RECIPE, seed=0)
    first.run_epoch()
    states = [first.state()]
    first.run_epoch(lambda _: states.append(first.state()))
    assert len(states) == 4  # at an epoch's end, and after each step of the next one
    for state in states:
        assert all(tensor.is_contiguous() for tensor in state.values())  # as safetensors asks for
        second = Trainer(small_net(), data, RECIPE, seed=0)
        second.load_state(state)
        second.run_epoch()
        for name, tensor in first.state().items():
            if name != "history":
                assert torch.equal(second.state()[name], tensor), name
        assert losses(second) == losses(first)


def test_so_it_is_with_an_optimiser_of_several_slots(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    use(LIKE_A_GPU)
    recipe = Recipe.model_validate(
        {"epochs": 2, "batch_size": 12, "optimiser": "adamw", "clip_norm": 0.5, "metric": "error"}
    )
    first, states = Trainer(small_net(), data, recipe, seed=0), []
    while not first.finished:
        first.run_epoch(lambda _: states.append(first.state()))
    for state in states:
        second = Trainer(small_net(), data, recipe, seed=0)
        second.load_state(state)
        while not second.finished:
            second.run_epoch()
        for name, tensor in first.state().items():
            if name != "history":
                assert torch.equal(second.state()[name], tensor), name
        assert losses(second) == losses(first)


def test_a_state_goes_from_one_kind_of_computing_to_another(
    data: PreparedData, graphs: list[Any], use: Callable[[Speed], None]
):
    expected = trained(small_net(), data)
    for before, after in ((Speed(), LIKE_A_GPU), (LIKE_A_GPU, Speed())):
        use(before)
        first = Trainer(small_net(), data, RECIPE, seed=0)
        first.run_epoch()
        use(after)
        second = Trainer(small_net(), data, RECIPE, seed=0)
        second.load_state(first.state())
        second.run_epoch()
        check_same(second, expected)


def test_bfloat16_is_float32_to_its_rounding(data: PreparedData):
    expected = trained(small_net(), data)
    trainer = trained(small_net(), data, precision="bfloat16")
    assert trainer.name == "torch, masked, bfloat16"
    # bfloat16 has 8 bits: products are off by up to 0.4%, and losses by less on average.
    assert losses(trainer) == pytest.approx(losses(expected), rel=0.02)
    assert losses(trainer) != pytest.approx(losses(expected), rel=1e-5)
    assert {tensor.dtype for tensor in trainer.state().values()} == {
        torch.float32,
        torch.float64,  # the history
        torch.int64,
        torch.bool,
    }
    # The loss itself is not rounded to 8 bits.
    assert any(float(torch.tensor(loss).bfloat16()) != loss for loss in losses(trainer))


def test_bfloat16_is_for_the_pytorch_engine(data: PreparedData):
    net = Family(MLP, base_width=2, in_features=128, num_classes=CLASSES).sparse(8)
    recipe = Recipe(epochs=1)
    assert trainer_for(net, data, recipe, seed=0).name == "native"
    trainer = trainer_for(net, data, recipe, seed=0, precision="bfloat16")
    assert trainer.name == "torch, masked, bfloat16"
    assert math.isfinite(trainer.run_epoch().train_loss)


def test_where_nothing_can_be_compiled_a_warning_says_why(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler\nand many lines more")

    _speed.can_compile.cache_clear()
    monkeypatch.setattr(torch, "compile", broken)
    with pytest.warns(SlowEngineWarning, match=r"RuntimeError: no compiler\. It needs Triton"):
        assert not _speed.can_compile(torch.device("cpu"))
    _speed.can_compile.cache_clear()


def test_only_nets_with_convolutions_on_a_gpu_are_compiled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_speed, "can_compile", lambda _: True)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert Speed.of(small_net(), gpu, "bfloat16") == replace(LIKE_A_GPU, precision="bfloat16")
    assert Speed.of(nn.Linear(2, 2), gpu, "float32") == Speed(fused=True)
    assert Speed.of(small_net(), cpu, "float32") == Speed()
