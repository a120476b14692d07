"""Models of one's own, on data of one's own of each kind, from a study's file to a page."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from wider.cli import main
from wider.errors import InputError
from wider.files import read_whole
from wider.own_code import look_in, source_digest, source_files
from wider.randomness import stream
from wider.runs import Run, RunSpec, Store, execute, read_study, table_of_store, train_missing

pytestmark = [
    pytest.mark.filterwarnings("ignore::wider.training.SlowEngineWarning"),
    pytest.mark.filterwarnings("ignore::wider.sparsity.UncountedWarning"),  # embeddings grow
]

EXAMPLES = Path(__file__).parents[1] / "examples" / "own"
SHAKESPEARE = Path(__file__).parents[2] / "shared" / "data" / "tiny_shakespeare"
CLASSES = ("cat", "dog", "fish")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the examples, with data of each kind; its modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    images(tmp_path / "data" / "pets")
    text(tmp_path / "data" / "letters")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def images(folder: Path) -> None:
    for split, count in (("train", 12), ("test", 5)):
        for place, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                generator = np.random.default_rng([place, number, count])
                pixels = generator.integers(60 * place, 60 * place + 120, (12, 12, 3))
                image = PIL.Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / split / name / f"{number}.png")


def text(folder: Path) -> None:
    folder.mkdir()
    for split, count in (("train", 4000), ("test", 700)):
        letters = torch.randint(97, 101, (count,), generator=stream(0, split)).tolist()
        doubled = "".join(chr(letter) * 2 for letter in letters)  # every second one can be known
        (folder / f"{split}.txt").write_text(doubled)


STUDIES = {
    "images": {'"digits"': '"pets"', "batch_size = 20": "batch_size = 8"},
    "table": {"epochs = 20": "epochs = 3"},
    "text": {'"python-source"': '"letters"', "= 200": "= 60", "= 100": "= 30", "= 64": "= 16"},
}


def study(folder: Path, name: str) -> Path:
    """An example's file on small data."""
    path = folder / f"{name}.toml"
    content = path.read_text()
    for old, new in STUDIES[name].items():
        assert old in content
        content = content.replace(old, new)
    path.write_text(content.replace(", 16]", "]"))
    return path


def numbers(store: Store, run: Run) -> tuple:
    rows = [tuple(np.nan_to_num(row, nan=-1.0)) for row in (_without_time(run))]
    return rows, read_whole(store.folder(run.spec) / "model.safetensors")


def _without_time(run: Run) -> list[list[float]]:
    return run.history.to_table().drop(columns="seconds").to_numpy(float).tolist()


@pytest.mark.parametrize("name", STUDIES)
def test_from_a_file_to_a_page(name: str, folder: Path, capfd: pytest.CaptureFixture[str]):
    command = ["sweep", str(study(folder, name)), "--store", "store", "--data-dir", "data"]
    if name == "table":  # an embedded one
        command = command[:-2]
    assert main(command) == 0
    printed = capfd.readouterr().out
    assert ("accuracy" in printed) == (name == "images")
    assert main(["report", "--store", "store"]) == 0
    page = (folder / "report.html").read_text()
    metric = {"images": "accuracy", "table": "mean squared error", "text": "bits per byte"}[name]
    assert f"test {metric}, last epoch" in page
    assert f"nets:{read_study(Path(command[1])).specs[0].model.name.split(':')[1]}" in page
    table = table_of_store(Store(folder / "store"))
    assert len(table) == len(read_study(Path(command[1])).specs)
    sizes = table.groupby("width")["num_weights"].unique()
    assert len({int(size[0]) for size in sizes}) == 1  # the budget holds at every width
    if name == "text":  # of two letters that follow each other, one is known: a bit a byte
        assert table["final_test_metric"].between(1, 5).all()
        assert (table["final_test_accuracy"] > 0.25).all()
    if name == "table":
        assert table["final_test_accuracy"].isna().all()
        assert (table["final_test_metric"] < 1).all()  # which the mean alone would reach
    # Whoever has the store and not the code can still read all of it.
    (folder / "nets.py").unlink()
    sys.modules.pop("nets", None)
    assert main(["report", "--store", "store"]) == 0
    assert main(["runs", "--store", "store"]) == 0


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="there is no tiny_shakespeare beside it")
def test_the_next_character_of_shakespeare(folder: Path, capfd: pytest.CaptureFixture[str]):
    path = study(folder, "text")
    path.write_text(path.read_text().replace('"letters"', '"tiny_shakespeare"'))
    command = ["sweep", str(path), "--store", "store", "--data-dir", str(SHAKESPEARE.parent)]
    assert main(command) == 0
    assert "compared by bits per byte (lower is better)" in capfd.readouterr().out
    bits = table_of_store(Store(folder / "store"))["final_test_metric"]
    assert bits.between(2.5, 6.5).all()  # 8 is to know nothing; letters alone take about 4.8


@pytest.mark.parametrize("name", STUDIES)
def test_interrupted_it_goes_on_bit_for_bit(name: str, folder: Path):
    path = study(folder, name)
    data_dir = None if name == "table" else folder / "data"
    look_in(folder)
    specs = list(read_study(path).specs)[:2]
    store, fresh = Store(folder / "store"), Store(folder / "fresh")

    def interrupt(row: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(specs[0], store, data_dir=data_dir, checkpoint_seconds=0, on_epoch=interrupt)
    assert store.read_checkpoint(specs[0]) is not None
    found = train_missing(specs, store, data_dir=data_dir)
    expected = train_missing(specs, fresh, data_dir=data_dir)
    for ours, theirs in zip(found, expected, strict=True):
        assert numbers(store, ours) == numbers(fresh, theirs)


def test_a_run_whose_source_changed_is_set_aside_and_trained_anew(
    folder: Path, capfd: pytest.CaptureFixture[str]
):
    path = study(folder, "images")
    command = ["sweep", str(path), "--store", "store", "--data-dir", "data"]
    assert main(command) == 0
    first = table_of_store(Store(folder / "store"))
    capfd.readouterr()
    with (folder / "nets.py").open("a") as file:
        file.write("# changed\n")
    assert main(command) == 0
    said = capfd.readouterr().err
    assert "its code was another (digest " in said
    assert "than that of nets:small_cnn now" in said
    second = table_of_store(Store(folder / "store"))
    assert set(second["key"]) == set(first["key"])
    assert set(second["code_digest"]).isdisjoint(first["code_digest"])
    aside = {path.name for path in (folder / "store" / "set-aside").iterdir()}
    assert len(aside) == len(first)
    # As it was before: the old runs come back.
    source = (folder / "nets.py").read_text().removesuffix("# changed\n")
    (folder / "nets.py").write_text(source)
    capfd.readouterr()
    assert main(command) == 0
    assert "moved back from" in capfd.readouterr().err
    assert set(table_of_store(Store(folder / "store"))["code_digest"]) == set(first["code_digest"])


OWN = """
import torch
from torch import nn

from wider.data import from_arrays


def rings():
    angles = torch.linspace(0, 50, 200)
    labels = torch.arange(200) % 2
    points = torch.stack([angles.cos(), angles.sin()], 1) * (1 + labels[:, None])
    return from_arrays((points[:150], labels[:150]), (points[150:], labels[150:]), name="rings")


def mirrored(train_inputs, *, times):
    return lambda inputs: times * inputs.flip(1)


def net(width, in_features, num_outputs):
    return nn.Sequential(
        nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, num_outputs),
    )


def hinge(outputs, targets):
    right = outputs.gather(1, targets[:, None])
    return (1 + outputs - right).clamp(min=0).sum(1) - 1


def margin(outputs, targets):
    return hinge(outputs, targets).clamp(max=1)


def first_least(shapes, num_weights):
    first, *others = shapes
    sizes = {name: shape[0] * shape[1] for name, shape in shapes.items()}
    counts = dict.fromkeys(others, 12)
    return {first: num_weights - sum(counts.values()), **counts}


def corner(shape, num_weights, generator):
    return (torch.arange(shape[0] * shape[1]) < num_weights).reshape(shape)


def falling(step, num_steps, *, power):
    return (1 - step / num_steps) ** power


def slow_last(layer, *, factor):
    return factor if layer.kind == "last" else 1.0


def spread(run, *, scale):
    return {"of the first layer": scale * next(run.model.parameters()).std()}
"""

EVERY_KIND = {
    "data": {
        "dataset": "mine:rings",
        "transformations": [{"name": "mine:mirrored", "options": {"times": 2.0}}],
    },
    "model": "mine:net",
    "widening": {
        "base_width": 4, "width": 6, "allocation": "mine:first_least", "pattern": "mine:corner"
    },
    "recipe": {
        "epochs": 3,
        "batch_size": 10,
        "optimiser": {"name": "torch.optim:RMSprop", "options": {"lr": 0.01}},
        "schedule": {"name": "mine:falling", "options": {"power": 2}},
        "objective": "mine:hinge",
        "metric": "mine:margin",
        "layer_rates": {"name": "mine:slow_last", "options": {"factor": 0.5}},
    },
    "measurements": [{"name": "mine:spread", "options": {"scale": 2.0}}, "activations"],
}  # fmt: skip


def test_all_kinds_of_ones_own_code_together(folder: Path):
    (folder / "mine.py").write_text(OWN)
    look_in(folder)
    spec = RunSpec.model_validate(EVERY_KIND)
    assert RunSpec.model_validate_json(spec.model_dump_json()).key == spec.key
    names = "rings mirrored net first_least corner falling hinge margin slow_last spread"
    assert spec.own_code == sorted([*(f"mine:{name}" for name in names.split()),
                                    "torch.optim:RMSprop"])  # fmt: skip
    store = Store(folder / "store")
    (run,) = train_missing([spec], store)
    rates = run.history.to_table()["learning_rate"]
    # 15 steps an epoch; the last of each is number 14, 29, 44 of 45.
    assert rates.tolist() == pytest.approx([0.01 * (1 - step / 45) ** 2 for step in (14, 29, 44)])
    assert run.result.metric == "mine:margin"
    assert not run.result.higher_is_better
    # 2 x 4 + 4 x 4 + 4 x 2 weights; the others keep 12 each.
    assert run.result.num_weights == 32
    assert run.result.connectivity == {"": 32 / 60, "0": 8 / 12, "2": 12 / 36, "4": 1.0}
    mask = store.load_model(run)[2].parametrizations["weight"][0].mask  # pyright: ignore
    assert mask.flatten().nonzero().flatten().tolist() == list(range(12))
    measured = run.result.measured["mine:spread"]
    assert set(measured) == {"before of the first layer", "after of the first layer"}
    assert run.result.measured["activations"]["after 4 mean square"] > 0
    table = table_of_store(store)
    assert table["multiply_adds"].tolist() == [32]
    (again,) = train_missing([spec], store)
    assert again.result == run.result


def test_flags_of_a_model_of_ones_own(folder: Path, capfd: pytest.CaptureFixture[str]):
    command = [
        "train",
        "--data.dataset",
        "digits",
        "--data.num-train",
        "100",
        "--recipe.epochs",
        "1",
        "--widening.base-width",
        "2",
        "--widening.width",
        "4",
        "--model.name",
        "nets:small_cnn",
    ]
    assert main([*command, "--model.options", "{ depth = 3 }"]) == 0
    assert "nets:small_cnn depth 3" in capfd.readouterr().out
    assert main([*command, "--model.options", "{ deepness = 3 }"]) == 2
    assert "nets:small_cnn takes no 'deepness'" in capfd.readouterr().err
    assert main([*command[:-1], "nets:none"]) == 2
    assert "has no 'none'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        ("nets:NextByte", "digits", "nets:NextByte needs vocab_size, and for images"),
        ("nets:small_cnn", "diabetes", "nets:small_cnn needs in_channels, num_classes"),
        ("none:net", "digits", "there is no module 'none'"),
        ("math:pi", "digits", "math:pi is 3.14159.*: name a function of the width"),
        ("shutil:copytree", "digits", "shutil:copytree needs dst, which is no size of the task"),
    ],
)
def test_a_net_that_does_not_go_with_the_data(model: str, dataset: str, message: str, folder: Path):
    look_in(folder)
    spec = RunSpec.model_validate({"data": {"dataset": dataset}, "model": {"name": model}})
    with pytest.raises(InputError, match=message):
        execute(spec, Store(folder / "store"))


def test_to_read_a_store_runs_no_code(folder: Path):
    (folder / "trap.py").write_text("raise SystemExit('run')\n")
    look_in(folder)
    document = {"model": {"name": "trap:net"}, "widening": {"allocation": "trap:rule"}}
    spec = RunSpec.model_validate(document)
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.own_code == ["trap:net", "trap:rule"]
    assert "trap" not in sys.modules


def test_of_a_package_that_another_environment_has_only_its_own_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "lib" / "site-packages" / "of_another_environment"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from of_another_environment.part import net\n")
    (package / "part.py").write_text("net = 1\n")
    monkeypatch.syspath_prepend(str(package.parent))
    before = source_digest(["of_another_environment:net"])
    (package / "part.py").write_text("net = 2\n")
    assert source_digest(["of_another_environment:net"]) == before
    assert source_files(["of_another_environment:net"]) == {}
