"""Tables: which columns are read, and how they are scaled."""

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from wider.data import PreparedTable, Preprocessing, TableData, from_arrays, load_dataset, prepare
from wider.errors import InputError
from wider.randomness import stream


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """The folder of a table "small"."""
    (data_dir / "small").mkdir(parents=True)
    write_csv(data_dir / "small", "train", "a,b,kind\n1,2.5,cat\n3,-1e3,dog\n5,0,cat\n")
    write_csv(data_dir / "small", "test", "kind,b,a\ndog,7,8\n")
    return data_dir / "small"


def write_csv(folder: Path, split: str, text: str) -> None:
    (folder / f"{split}.csv").write_text(text, "utf-8")


def loaded(folder: Path, **options: Any) -> TableData:
    data = load_dataset(folder.name, data_dir=folder.parent, **options)
    assert isinstance(data, TableData)
    return data


def message(folder: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(folder.name, data_dir=folder.parent, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def prepared(data: Any, **wanted: Any) -> PreparedTable:
    made = prepare(data, Preprocessing.model_validate(wanted))
    assert isinstance(made, PreparedTable)
    return made


def test_a_csv_file_gives_its_numbers_and_classes_by_name(folder: Path):
    data = loaded(folder)
    assert (data.columns, data.target, data.classes) == (("a", "b"), "kind", ("cat", "dog"))
    assert data.train.inputs.tolist() == [[1, 2.5], [3, -1000], [5, 0]]
    assert data.train.targets.tolist() == [0, 1, 0]
    assert data.test.inputs.tolist() == [[8, 7]]
    assert data.test.targets.tolist() == [1]
    task = data.task
    assert (task.input, task.shape, task.output, task.num_outputs) == (
        "features",
        (2,),
        "classes",
        2,
    )


def test_parquet_files_hold_the_same(folder: Path):
    csv = loaded(folder)
    for split in ("train", "test"):
        pd.read_csv(folder / f"{split}.csv").to_parquet(folder / f"{split}.parquet", index=False)
        (folder / f"{split}.csv").unlink()
    assert loaded(folder).digest == csv.digest


def test_a_table_is_decoded_once_and_again_when_a_file_changes(folder: Path, opened: list[str]):
    first, again = loaded(folder), loaded(folder)
    assert len(opened) == 2  # a file of each split
    assert (first.digest, first.classes, first.columns) == (
        again.digest,
        again.classes,
        again.columns,
    )
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.test.targets, again.test.targets)
    digests = {first.digest}
    for text in ("a,b,kind\n8,7,cat\n", "a,b,kind\n8,9,cat\n"):
        write_csv(folder, "test", text)
        digests.add(loaded(folder).digest)
    assert len(digests) == 3
    assert loaded(folder, target="kind").target == "kind"
    assert len(opened) == 4 * 2


@settings(max_examples=20)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**53), 2**53),
            st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from(["x", "y, z", 'a "b"', "größer"]),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_a_csv_file_is_read_as_it_was_written(rows: list[tuple[Any, ...]]):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "small")
        folder.mkdir()
        for split in ("train", "test"):
            with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("n", "m, k", "label"), *rows])
        data = loaded(folder, cache_dir=place)
    assert data.columns == ("n", "m, k")
    assert data.train.inputs.tolist() == [list(row[:2]) for row in rows]
    assert data.classes is not None
    assert [data.classes[label] for label in data.test.targets] == [row[2] for row in rows]


@pytest.mark.parametrize(
    ("header", "wanted", "target"),
    [
        ("a,target,c", None, "target"),
        ("label,a,b", None, "label"),
        ("label,target,b", None, "target"),
        ("a,b,c", None, "c"),
        ("a,b,target", "b", "b"),
    ],
)
def test_the_target_is_found(data_dir: Path, header: str, wanted: str | None, target: str):
    (data_dir / "small").mkdir(parents=True)
    for split in ("train", "test"):
        write_csv(data_dir / "small", split, f"{header}\n1.5,2.5,3.5\n4.5,5.5,6.5\n")
    data = loaded(data_dir / "small", target=wanted)
    assert data.target == target
    assert data.columns == tuple(name for name in header.split(",") if name != target)
    assert (data.classes, data.task.output, data.task.num_outputs) == (None, "numbers", 1)
    assert data.train.targets.shape == (2, 1)


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        (["0", "1", "0", "1"], ["1"], ("0", "1")),
        (["0.0", "1.0", "0.0", "1.0"], ["1"], None),
        (["0", "1", "0", "1"], ["0.5"], None),
        (["10", "9", "9", "10"], ["1e1"], None),
        (["b", "a", "b", "a"], ["a"], ("a", "b")),
    ],
)
def test_what_is_a_class_and_what_a_number(
    data_dir: Path, train: list[str], test: list[str], classes: tuple[str, ...] | None
):
    (data_dir / "small").mkdir(parents=True)
    for split, targets in (("train", train), ("test", test)):
        rows = "".join(f"1,{target}\n" for target in targets)
        write_csv(data_dir / "small", split, f"a,target\n{rows}")
    assert loaded(data_dir / "small").classes == classes


@pytest.mark.parametrize(
    "targets", [[1, 2, 1, 2], [0, 2, 0, 2], [-1, 0, -1, 0], [0, 1, 2, 3], [0, 0, 0, 0], [25, 346]]
)
def test_whole_numbers_that_may_be_either_are_refused(data_dir: Path, targets: list[int]):
    (data_dir / "small").mkdir(parents=True)
    rows = "".join(f"1,{target}\n" for target in targets)
    for split in ("train", "test"):
        write_csv(data_dir / "small", split, f"a,target\n{rows}")
    said = message(data_dir / "small")
    assert "The target 'target' of " in said
    assert f"from {min(targets)} to {max(targets)}, which may be classes or numbers" in said
    assert "write numbers with a decimal point" in said


def test_a_class_label_names_classes(data_dir: Path, write: Callable):
    names = datasets.ClassLabel(names=["red", "blue"])
    number = datasets.Value("float32")
    write("train", {"a": [1.0, 2.0], "label": [1, 0]}, a=number, label=names)
    write("test", {"a": [3.0], "label": [1]}, a=number, label=names)
    write("validation", {"a": [3.0], "label": [1]}, a=number, label=names)
    data = loaded(data_dir / "small")
    assert data.classes == ("red", "blue")
    assert data.train.targets.tolist() == [1, 0]
    assert data.notes == (
        "its validation split is not read; num_validation sets training rows aside",
    )


HEAD = "a,b,kind\n1,2,x\n"


@pytest.mark.parametrize(
    ("split", "text", "said"),
    [
        ("train", HEAD + "3,oops,y\n", "Row 1 of train of {}, column 'b', is 'oops', which is no"),
        ("test", HEAD + "3,,x\n", "Row 1 of test of {}, column 'b', is '', which is no number"),
        ("test", HEAD + "nan,1,x\n", "Row 1 of test of {}, column 'a', is 'nan', which is no"),
        ("train", HEAD + "inf,1,x\n", "Row 1 of train of {}, column 'a', is inf, and only finite"),
        ("train", HEAD + "1,1,7\n", "Row 0 of train of {}, column 'kind', is 'x', and row 1 is a"),
        ("train", HEAD + "1,1\n", "Row 1 of {}/train.csv has 2 cells, and there are 3 columns"),
        ("train", HEAD + "1,1,x,4\n", "Row 1 of {}/train.csv has 4 cells"),
        ("train", "a,a,kind\n1,1,x\n", "train.csv has two columns 'a' in its first line"),
        ("train", ",a,kind\n1,1,x\n", "train.csv has a column without a name in its first line"),
        ("train", "", "train.csv is empty: write a line of names"),
        ("train", "a,b,kind\n", "The split 'train' of {} is empty"),
        ("test", "a,c,kind\n1,2,x\n", "The splits of {} have other columns: 'b' is in one of"),
        ("test", HEAD + "1,2,z\n", "Test rows of {} are of classes that train does not have: 'z'"),
        ("test", "a,b,kind\n1,2,3\n", "The labels of train of {} have the names of classes, and"),
        ("train", "kind\nx\n", "The dataset {} has the columns 'kind', and is of no kind"),
        ("train", "kind\n1\n", "The table {} has the column 'kind' alone, which is the target"),
        ("train", 'a,b,kind\n1,2,"x\n', "train.csv cannot be read: unexpected end of data"),
        ("train", HEAD + "1,1,\n", "Row 1 of train of {}, column 'kind', is empty"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(folder: Path, split: str, text: str, said: str):
    write_csv(folder, "train", HEAD)
    write_csv(folder, "test", HEAD)
    write_csv(folder, split, text)
    assert said.format(folder) in message(folder)


def test_columns_of_parquet_files_that_cannot_be_used(data_dir: Path, write: Callable):
    folder, number = data_dir / "small", datasets.Value("float64")
    write("test", {"a": [1.0], "y": [1.0]}, a=number, y=number)
    write("train", {"a": [1.0, None], "y": [1.0, 2.0]}, a=number, y=number)
    assert f"Row 1 of train of {folder}, column 'a', is missing" in message(folder)
    write("train", {"a": [1.0, float("nan")], "y": [1.0, 2.0]}, a=number, y=number)
    assert f"Row 1 of train of {folder}, column 'a', is nan, and only finite" in message(folder)
    write("train", {"a": [1.0], "y": [float("inf")]}, a=number, y=number)
    assert f"Row 0 of train of {folder}, column 'y', is inf" in message(folder)
    many = datasets.List(number)
    for split in ("train", "test"):
        write(split, {"a": [[1.0]], "b": [1.0], "y": [1.0]}, a=many, b=number, y=number)
    assert f"Row 0 of train of {folder}, column 'a', is [1.0], which is no" in message(folder)
    assert "The target 'a' of" in message(folder, target="a")
    assert "target is 'z', but" in message(folder, target="z")
    assert "tokenizer is 't', and there is no such file in" in message(folder, tokenizer="t")
    for split in ("train", "test"):
        pd.DataFrame({"a": [1.0], "y": [1.0]}, index=["r"]).to_parquet(folder / f"{split}.parquet")
    assert "which is an index of pandas: write it with index=False" in message(folder)


NUMBERS = np.random.default_rng(0).normal(3, [1, 20, 0.01], (50, 3))


@pytest.mark.parametrize("normalisation", ["channel", "pixel"])
def test_each_column_is_scaled_by_itself(normalisation: str):
    columns = np.concatenate([NUMBERS, np.full((50, 1), 0.1)], axis=1)
    data = from_arrays((columns[:40], columns[:40, 0]), (columns[40:], columns[40:, 0]))
    made = prepared(data, normalisation=normalisation, num_train=20, num_validation=10)
    rows = [int((columns[:40, 0] == value).argmax()) for value in _unscaled(made, columns)]
    used = columns[rows]
    np.testing.assert_allclose(
        made.test_inputs[:, :3], (columns[40:, :3] - used[:, :3].mean(0)) / used[:, :3].std(0),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip
    assert made.test_inputs[:, 3].abs().max() < 1e-6
    assert made.train_inputs.dtype == torch.float32
    # Targets that are numbers are scaled, too.
    np.testing.assert_allclose(made.train_targets.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(made.train_targets.square().mean(0), 1, rtol=1e-5)
    every = prepared(data, normalisation=normalisation, num_train=20, scaled_by="all")
    scaled = (columns[40:, :3] - columns[:40, :3].mean(0)) / columns[:40, :3].std(0)
    np.testing.assert_allclose(every.test_inputs[:, :3], scaled, rtol=1e-4, atol=1e-5)


def _unscaled(made: PreparedTable, columns: np.ndarray) -> list[float]:
    """The first column of the training rows, found by their order of size."""
    seen = torch.cat([made.train_inputs, made.validation_inputs, made.test_inputs])[:, 0]
    slope = LinearRegression().fit(made.test_inputs[:, :1].double().numpy(), columns[40:, 0])
    told = slope.predict(seen[: len(made.train_inputs), None].double().numpy())
    return [float(columns[:40, 0][np.abs(columns[:40, 0] - value).argmin()]) for value in told]


def test_unit_is_from_the_least_to_the_largest_of_training():
    train, test = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[0.0, 5.0], [4.0, 6.0]])
    made = prepared(from_arrays((train, [0.0, 1.0]), (test, [0.0, 1.0])), normalisation="unit")  # pyright: ignore
    assert made.train_inputs.tolist() == [[0, 0], [1, 0]]
    assert made.test_inputs.tolist() == [[-0.5, 0], [1.5, 1]]


def test_a_mean_squared_error_of_1_is_what_the_mean_reaches():
    data = from_arrays((NUMBERS, NUMBERS[:, :2]), (NUMBERS, NUMBERS[:, :2]))
    made = prepared(data)
    assert made.task.num_outputs == 2
    assert made.task.output == "numbers"
    error = (made.train_targets - made.train_targets.mean(0)).square().mean()
    assert error.item() == pytest.approx(1, abs=1e-5)


@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 9),
    share=st.sampled_from([slice(None), slice(0, None, 2), slice(1, None, 2)]),
)
def test_batches_of_a_share_are_slices_of_the_whole(count: int, batch_size: int, share: slice):
    inputs = torch.arange(count * 2, dtype=torch.float32).view(count, 2)
    made = prepared(from_arrays((inputs, inputs), (inputs, inputs)))
    order = torch.randperm(count, generator=stream(0, "order"))

    def epoch(start: int, share: slice) -> list[Any]:
        options: Any = {"batch_size": batch_size, "augmentation": "none"}
        batches = made.train_batches(
            order, generator=stream(0, "g"), share=share, start=start, **options
        )
        return list(batches)

    whole = epoch(0, slice(None))
    assert torch.equal(torch.cat([some for some, _ in whole]), made.train_inputs[order])
    for start in range(0, count, batch_size):
        rest = whole[start // batch_size :]
        for (some, said), (every, wanted) in zip(epoch(start, share), rest, strict=True):
            assert torch.equal(some, every[share])
            assert torch.equal(said, wanted[share])
    parts = list(made.batches("test", batch_size=batch_size))
    assert torch.equal(torch.cat([some for some, _ in parts]), made.test_inputs)
    assert made.num_targets("train") == made.count("train") == count
    assert made.bytes_per_token("train") == 1


@pytest.mark.parametrize(
    "wanted",
    [{"context": 3}, {"grey": True}, {"image_size": 3}, {"shrunk_to": 3}, {"tokenizer": "a"}],
    ids=str,
)
def test_fields_of_other_kinds_are_refused(wanted: dict[str, Any]):
    (field,) = wanted
    with pytest.raises(
        InputError, match=f"{field} is .*, but arrays is of a table's rows, .*{field}"
    ):
        prepared(from_arrays((NUMBERS, NUMBERS), (NUMBERS, NUMBERS)), **wanted)


def test_too_many_rows_and_augmentations_are_refused():
    data = from_arrays((NUMBERS, NUMBERS), (NUMBERS, NUMBERS))
    with pytest.raises(InputError, match="need 51 rows, but arrays has 50 training rows"):
        prepared(data, num_train=51)
    with pytest.raises(
        InputError, match="augmentation 'crop' is for images, and these are features"
    ):
        prepared(data).check_augmentation("crop")
    moved = prepared(data).to("meta")
    assert moved.device.type == "meta"
    assert moved.test_targets.device.type == "meta"
