"""Datasets that are found by name without files of their own, and a user's own."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes

from wider.data import (
    DATASETS,
    KNOWN,
    Dataset,
    Preprocessing,
    TableData,
    TextData,
    at_hand,
    digest_at_hand,
    load_dataset,
    load_for,
    prepare,
)
from wider.errors import InputError
from wider.own_code import look_in
from wider.randomness import stream

NAMES = list(DATASETS)


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_is_what_it_says(name: str):
    data, again = load_dataset(name), DATASETS.find(name)()
    assert (data.name, data.digest) == (name, again.digest)
    assert len(data.digest) == 64
    preprocessing = Preprocessing(dataset=name)
    assert digest_at_hand(preprocessing) == at_hand(preprocessing).digest == data.digest
    assert load_for(preprocessing).task == data.task
    made = prepare(data, preprocessing)
    assert made.task == data.task
    for part in ("train", "test"):
        inputs, targets = next(made.batches(part, batch_size=7))
        assert inputs.shape == (7, *made.task.shape)
        assert (inputs.dtype, inputs.shape[1:]) == (
            made.task.zeros(7).dtype,
            made.task.zeros(7).shape[1:],
        )
        if made.task.output == "numbers":
            assert targets.shape == (7, made.task.num_outputs)
        else:
            assert targets.dtype == torch.int64
            assert 0 <= targets.min() <= targets.max() < made.task.num_outputs


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_of_a_dataset_is_so(name: str):
    data, known = load_dataset(name), KNOWN[name]
    assert data.task == known.task
    if data.task.input == "tokens":
        assert 0.7 < data.num_train / known.num_train < 1.4  # another one for each Python
    else:
        assert data.num_train == known.num_train


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_the_same_name_is_refused(name: str, tmp_path: Path):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name} is a dataset that needs no files, and"):
        load_dataset(name, data_dir=tmp_path)
    with pytest.raises(InputError, match=r"target is 'a', but .* has no such choice: leave target"):
        load_dataset(name, target="a")


def test_tables_of_scikit_learn_are_all_there():
    for name, loaded in (
        ("breast-cancer", load_breast_cancer()),
        ("diabetes", load_diabetes(scaled=False)),
    ):
        data = load_dataset(name)
        assert isinstance(data, TableData)
        rows = torch.cat([data.train.inputs, data.test.inputs]).numpy()
        said = torch.cat([data.train.targets, data.test.targets]).numpy().reshape(-1, 1)
        ours = np.concatenate([rows, said], axis=1)
        theirs = np.concatenate([loaded.data, loaded.target[:, None]], axis=1)  # pyright: ignore
        assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))
        assert data.columns == tuple(loaded.feature_names)  # pyright: ignore
        order = torch.randperm(len(theirs), generator=stream(0, f"{name} split"))
        count = data.num_train
        assert np.array_equal(data.train.inputs, loaded.data[order[:count].sort().values])  # pyright: ignore


def test_the_source_of_python_is_text_of_modules_apart():
    data = load_dataset("python-source")
    assert isinstance(data, TextData)
    assert data.validation is not None
    sizes = [len(data.train), len(data.validation), len(data.test)]
    assert 1e6 < sum(sizes) < 2.5e6
    assert min(sizes) > 5e4
    texts = [bytes(split.tolist()).decode() for split in (data.train, data.validation, data.test)]
    for module in ("dataclasses", "statistics", "shutil", "random"):
        path = Path(__import__(module).__file__ or "")
        assert sum(path.read_text("utf-8") in text for text in texts) == 1
    assert data.notes[0].startswith("its text is that of Python 3.")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    look_in(tmp_path)
    (tmp_path / "own_data.py").write_text(
        "import numpy as np\n"
        "from wider.data import from_arrays\n"
        "def waves():\n"
        "    x = np.linspace(0, 6, 40)[:, None]\n"
        "    return from_arrays((x, np.sin(x)), (x, np.sin(x)), name='waves')\n"
        "def nothing():\n"
        "    return 3\n"
    )
    yield tmp_path
    sys.modules.pop("own_data", None)


def test_ones_own_dataset(own: Path):
    preprocessing = Preprocessing(dataset="own_data:waves", num_train=20)
    for data_dir in (None, own):
        data = at_hand(preprocessing, data_dir=data_dir)
        assert isinstance(data, Dataset)
        assert (data.num_train, data.task.output) == (40, "numbers")
        assert digest_at_hand(preprocessing, data_dir=data_dir) == data.digest
        assert prepare(data, preprocessing).count("train") == 20


def test_ones_own_dataset_that_is_none(own: Path):
    with pytest.raises(InputError, match=r"'own_data:nothing' is int: name a function without arg"):
        load_dataset("own_data:nothing")
    gone = Preprocessing(dataset="gone_data:waves")
    with pytest.raises(InputError, match="there is no module 'gone_data'"):
        at_hand(gone)
    assert digest_at_hand(gone) is None
    with pytest.raises(InputError, match="grey is True, but own_data:waves is of a table's rows"):
        at_hand(Preprocessing(dataset="own_data:waves", grey=True))


def test_fields_of_other_kinds_are_refused():
    said = "image_size is 8, but digits is of images of one size, .*leave image_size out"
    for how in (load_for, at_hand):
        with pytest.raises(InputError, match=said):
            how(Preprocessing(dataset="digits", image_size=8))


def test_a_name_that_nobody_knows_is_told_those_that_are():
    with pytest.raises(InputError, match="Known names are digits, python-source, breast-cancer"):
        load_dataset("zebras")
