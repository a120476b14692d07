"""An epoch that is left in its middle and gone on with, bit for bit."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wider.data import PreparedData, Preprocessing, TrainingData, load_large, prepare
from wider.families import Family
from wider.models import MLP, ResNet18
from wider.randomness import stream
from wider.runs import Digests, RunSpec, Store
from wider.training import Engine, Epoch, NativeLayersTrainer, NativeTrainer, Recipe, Trainer

CLASSES, SIDE, EPOCHS = 3, 8, 2
STEPS = 4  # an epoch: 16, 16, 16 and 2 images; of large images 5, 5, 5 and 2
IN_MEMORY, LARGE = (50, 30, 7), (17, 8, 0)  # images to train on, of test and of validation
SPEC = RunSpec(data=Preprocessing(dataset="digits"))

Make = Callable[[], Engine]


class Left(Exception):  # noqa: N818 - how a test leaves an epoch
    pass


@pytest.fixture(autouse=True)
def single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code, too, takes one step a call."""
    monkeypatch.setattr("wider.training._native.WORK", 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def large(prepared_dir: Path) -> TrainingData:
    wanted = Preprocessing(dataset="photos", image_size=32)
    return prepare(load_large("photos", data_dir=prepared_dir, image_size=32), wanted, workers=0)


def small() -> PreparedData:
    generator = stream(0, "tests")

    def part(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(CLASSES, (count,), generator=generator)
        images = torch.randn(count, 3, SIDE, SIDE, generator=generator)
        return images + labels.view(-1, 1, 1, 1), labels

    train, test, validation = map(part, IN_MEMORY)
    black = torch.tensor([-1.0, 0.5, 0])
    return PreparedData(*train, *test, *validation, num_classes=CLASSES, black=black)


def mlp(batch_norm: bool = False) -> MLP:
    family = Family(
        MLP,
        base_width=3,
        in_features=3 * SIDE**2,
        num_classes=CLASSES,
        batch_norm=batch_norm,
    )
    member = family.sparse(12, seed=1)
    assert isinstance(member, MLP)
    return member


def resnet(classes: int = CLASSES) -> nn.Module:
    return Family(ResNet18, base_width=2, num_classes=classes, in_channels=3).sparse(4, seed=0)


# By name: the engine, its net, how images are moved.
KINDS = {
    "native": (NativeTrainer, mlp, "none"),
    "torch": (Trainer, mlp, "none"),
    "torch, moved": (Trainer, mlp, "crop-flip"),
    "torch, BatchNorm, moved": (Trainer, lambda: mlp(batch_norm=True), "crop"),
    "native layers, moved": (NativeLayersTrainer, mlp, "crop-flip"),
    "native layers, BatchNorm": (NativeLayersTrainer, lambda: mlp(batch_norm=True), "none"),
    "native layers, ResNet, moved": (NativeLayersTrainer, resnet, "crop-flip"),
    "torch, large": (Trainer, lambda: resnet(2), "resized-crop"),
    "native layers, large": (NativeLayersTrainer, lambda: resnet(2), "none"),
}
FAST = [name for name in KINDS if "ResNet" not in name and "large" not in name]
SLOW = [name for name in KINDS if name not in FAST]
EVERY = range(EPOCHS * STEPS)
SOME = (0, STEPS - 2, STEPS - 1, STEPS + 1)  # those beside the smaller batch among them


def engine(name: str, momentum: float, large: TrainingData | None = None) -> Engine:
    kind, net, augmentation = KINDS[name]
    data, batch_size = small(), 16
    if "large" in name:
        assert large is not None
        data, batch_size = large, 5
    recipe = Recipe(
        epochs=EPOCHS,
        batch_size=batch_size,
        learning_rate=0.05,
        momentum=momentum,
        weight_decay=1e-3,
        augmentation=augmentation,
    )
    return kind(net(), data, recipe, seed=3)


def trained(trainer: Engine, on_step: Callable[[float], None] = lambda _: None) -> Engine:
    while not trainer.finished:
        trainer.run_epoch(on_step)
    return trainer


def left_after(steps: int, trainer: Engine) -> Engine:
    """The engine after so many steps more; nothing happens where it ends before."""
    taken = []

    def leave(_: float) -> None:
        taken.append(None)
        if len(taken) == steps:
            raise Left

    with pytest.raises(Left):
        trained(trainer, leave)
    return trainer


def stored(state: dict[str, Tensor], store: Store) -> dict[str, Tensor]:
    store.write_checkpoint(SPEC, state, digests=Digests(""))
    found = store.read_checkpoint(SPEC)
    assert found is not None
    return found


def bits(trainer: Engine) -> tuple[str, dict[str, bytes]]:
    """All but the seconds."""
    state = {name: t.numpy().tobytes() for name, t in trainer.state().items() if name != "history"}
    # repr shows every digit, and NaN, which is not equal to itself.
    return repr([row._replace(seconds=0.0) for row in trainer.history]), state


@pytest.mark.parametrize(
    ("name", "momentum", "steps"),
    [(name, momentum, EVERY) for name in FAST for momentum in (0.0, 0.9)]
    + [(name, 0.9, SOME) for name in SLOW],
)
def test_after_every_step_another_engine_goes_on_as_the_first_one_would_have(
    name: str, momentum: float, steps: Sequence[int], large: TrainingData, store: Store
):
    expected = bits(trained(engine(name, momentum, large)))
    first, states = engine(name, momentum, large), []
    trained(first, lambda _: states.append(first.state()))
    assert bits(first) == expected  # a look changes nothing
    assert len(states) == EPOCHS * STEPS
    train, *evaluated = LARGE if "large" in name else IN_MEMORY
    batch_size = 5 if "large" in name else 16
    for number in steps:
        state, (epoch, step) = states[number], divmod(number, STEPS)
        visited = min((step + 1) * batch_size, train)
        assert state["epoch.visited"].shape == (visited, train + sum(evaluated), 0)
        assert len(state["history"]) == epoch
        second = engine(name, momentum, large)
        second.load_state(stored(state, store))
        assert bits(trained(second)) == expected


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(FAST),
    places=st.lists(st.integers(1, EPOCHS * STEPS), min_size=1, max_size=4, unique=True).map(
        sorted
    ),
    same=st.booleans(),
)
def test_left_again_and_again_wherever_that_is(
    name: str, places: list[int], same: bool, store: Store
):
    trainer, before = engine(name, 0.9), 0
    for place in places:
        left_after(place - before, trainer)
        before, left = place, trainer
        if not same:  # an engine that was left can also go on itself
            trainer = engine(name, 0.9)
            trainer.load_state(stored(left.state(), store))
    assert bits(trained(trainer)) == bits(trained(engine(name, 0.9)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("native", "torch"),
        ("torch", "native"),
        ("torch, moved", "native layers, moved"),
        ("native layers, moved", "torch, moved"),
    ],
)
def test_each_goes_on_in_an_epoch_of_the_other(first: str, second: str, store: Store):
    left = left_after(STEPS + 2, engine(first, 0.9))
    other = engine(second, 0.9)
    other.load_state(stored(left.state(), store))
    for ours, theirs in zip(
        trained(other).history, trained(engine(second, 0.9)).history, strict=True
    ):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert ours.train_accuracy == pytest.approx(theirs.train_accuracy, abs=0.021)  # an image
        assert ours.test_loss == pytest.approx(theirs.test_loss, rel=1e-4)


@pytest.mark.parametrize("name", ["native", "torch"])
def test_the_seconds_of_an_epoch_are_those_of_its_parts(name: str):
    state = left_after(2, engine(name, 0.0)).state()
    assert 0 < state["epoch.seconds"] < 60
    trainer = engine(name, 0.0)
    trainer.load_state({**state, "epoch.seconds": torch.tensor(1000.0, dtype=torch.float64)})
    assert 1000 < trainer.run_epoch().seconds < 1060
    assert trainer.run_epoch().seconds < 60


@pytest.mark.parametrize("name", ["native", "torch", "native layers, moved"])
def test_within_an_epoch_and_there_alone_the_state_has_more(name: str):
    trainer = engine(name, 0.9)
    within = {"epoch.visited", "epoch.seconds", "epoch.losses", "epoch.hits"}
    assert not within & set(trainer.state())
    row = trainer.run_epoch()
    after = trainer.state()
    assert isinstance(row, Epoch)
    assert not within & set(after)
    assert set(left_after(1, trainer).state()) == set(after) | within


def test_before_an_evaluation_a_step_tells_how_long_that_may_take():
    ahead: list[float] = []
    row = engine("torch", 0.0).run_epoch(ahead.append)
    assert ahead[:-1] == [0.0] * (STEPS - 1)
    train, *evaluated = IN_MEMORY
    assert 0 < ahead[-1] < row.seconds * sum(evaluated) / train


def test_an_engine_at_the_end_of_its_steps_trains_on_no_image(store: Store):
    state = left_after(STEPS, engine("native", 0.0)).state()
    trainer = engine("native", 0.0)
    trainer.load_state(stored(state, store))
    steps: list[float] = []
    trainer.run_epoch(steps.append)
    assert steps == []


def test_a_call_of_native_code_takes_as_many_batches_as_fit_into_its_work(
    monkeypatch: pytest.MonkeyPatch,
):
    steps: list[float] = []
    engine("native", 0.0).run_epoch(steps.append)
    assert len(steps) == STEPS
    monkeypatch.undo()
    engine("native", 0.0).run_epoch(steps.append)
    assert len(steps) == STEPS + 1  # so small an epoch is one call
