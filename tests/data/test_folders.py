"""Folders in which the files of a dataset are found."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pytest

from wider.data import load, write_shards
from wider.errors import InputError

Pictures = Callable[..., Path]


@pytest.fixture
def pictures(data_dir: Path) -> Pictures:
    """Writes grey image files SPLIT/CLASS/NUMBER.png of a dataset; no two are alike."""
    shades = iter(range(256))

    def pictures(name: str, **splits: dict[str, int]) -> Path:
        for split, classes in splits.items():
            for label, count in classes.items():
                folder = data_dir / name / split / label
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(count):
                    pixels = np.full((2, 2), next(shades), dtype=np.uint8)
                    PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
        return data_dir / name

    return pictures


def message(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder.name, data_dir=folder.parent)
    return str(caught.value)


def counts(folder: Path) -> tuple[int, int]:
    data = load(folder.name, data_dir=folder.parent)
    return len(data.train.labels), len(data.test.labels)


@pytest.fixture
def saved(tmp_path: Path, small: Path) -> datasets.DatasetDict:
    """The dataset "small" as datasets reads it."""
    files = {split: str(small / f"{split}.parquet") for split in ("train", "test")}
    return datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hf"))


def test_a_class_may_be_called_as_a_split(pictures: Pictures) -> None:
    classes = {"bus": 2, "test": 2, "train": 2}
    folder = pictures("cars", train=classes, test=dict.fromkeys(classes, 1))
    data = load("cars", data_dir=folder.parent)
    assert data.classes == ("bus", "test", "train")
    assert data.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.test.labels.tolist() == [0, 1, 2]
    assert data.train.images[:, 0, 0, 0].tolist() == list(range(6))


@pytest.mark.parametrize("name", ["a[1]", "[x]", "what?", "all*", "a::b", "x y"])
def test_a_folder_of_any_name_is_the_one_that_is_read(pictures: Pictures, name: str) -> None:
    for other in ("a1", "x", "whatX", "all of it", "a"):
        pictures(other, train={"0": 5}, test={"0": 5})
    assert counts(pictures(name, train={"c": 2, "d": 1}, test={"d": 1})) == (3, 1)


@pytest.mark.parametrize("name", ["a[1]", "what?", "all*", "a::b"])
def test_tables_and_saved_datasets_of_any_name(
    small: Path, saved: datasets.DatasetDict, tmp_path: Path, name: str
) -> None:
    expected = load("small", data_dir=small.parent).digest
    outer = tmp_path / name
    shutil.copytree(small, outer / name)
    assert load(name, data_dir=outer).digest == expected
    saved.save_to_disk(tmp_path / "plain")
    (tmp_path / "plain").rename(outer / "saved")
    assert load("saved", data_dir=outer).digest == expected


def test_only_the_files_that_a_saved_dataset_lists_are_read(
    small: Path, saved: datasets.DatasetDict, data_dir: Path
) -> None:
    saved.save_to_disk(data_dir / "mapped")
    before = load("mapped", data_dir=data_dir)
    assert before.digest == load("small", data_dir=small.parent).digest
    again = datasets.load_from_disk(data_dir / "mapped")
    again.map(lambda row: row)
    assert list((data_dir / "mapped").rglob("cache-*.arrow"))
    assert load("mapped", data_dir=data_dir).digest == before.digest


def test_a_saved_dataset_may_have_been_formatted(
    small: Path, saved: datasets.DatasetDict, data_dir: Path
) -> None:
    saved.with_format("torch", columns=["label"]).save_to_disk(data_dir / "formatted")
    assert load("formatted", data_dir=data_dir).digest == load("small", data_dir=data_dir).digest


def test_a_saved_dataset_that_is_not_whole(saved: datasets.DatasetDict, data_dir: Path) -> None:
    saved.save_to_disk(data_dir / "saved", num_shards={"train": 2, "test": 1})
    assert counts(data_dir / "saved") == (3, 2)
    shard = data_dir / "saved" / "train" / "data-00001-of-00002.arrow"
    content = shard.read_bytes()
    shard.unlink()
    assert f"{shard} is missing" in message(data_dir / "saved")
    (data_dir / "elsewhere.arrow").write_bytes(content)
    state = shard.with_name("state.json")
    state.write_text(state.read_text().replace(shard.name, "../../elsewhere.arrow"))
    assert "lists ../../elsewhere.arrow, which is not in its folder" in message(data_dir / "saved")
    state.write_text("{")
    assert f"{state} is damaged" in message(data_dir / "saved")
    state.unlink()
    assert f"lists the split 'train', but {state} is missing" in message(data_dir / "saved")


def test_a_saved_dataset_without_splits(saved: datasets.DatasetDict, data_dir: Path) -> None:
    saved["train"].save_to_disk(data_dir / "saved")
    assert "without splits. Save it with two" in message(data_dir / "saved")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["train-00000-of-00002", "train-00001-of-00002"], ["test-00000-of-00001"]),
        (["data/train-00000-of-00002-0a1b", "data/train-00001-of-00002-2c3d"], ["data/test-0"]),
        (["plain_text/train-0", "plain_text/train-1"], ["plain_text/test"]),
        (["default/train/0000", "default/train/0001"], ["default/test/0000"]),
        (["train/train-1", "train/train-2"], ["test/any"]),
    ],
)
def test_numbered_tables_are_read_in_order(
    small: Path, data_dir: Path, train: list[str], test: list[str]
) -> None:
    expected = load("small", data_dir=data_dir)
    rows = datasets.Dataset.from_parquet(str(small / "train.parquet"))
    assert isinstance(rows, datasets.Dataset)
    for name, part in zip(train, (rows.select([0, 1]), rows.select([2])), strict=True):
        path = data_dir / "parts" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(path)
    path = data_dir / "parts" / f"{test[0]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(small / "test.parquet", path)
    assert load("parts", data_dir=data_dir).digest == expected.digest
    (data_dir / "parts" / f"{train[0]}.parquet").unlink()
    if "-of-" in train[0]:
        assert "and that of number 0 is missing" in message(data_dir / "parts")


def test_a_gap_in_the_numbers(small: Path) -> None:
    (small / "train.parquet").rename(small / "train-0.parquet")
    shutil.copy(small / "train-0.parquet", small / "train-2.parquet")
    assert "such as train-0.parquet, and that of number 1 is missing" in message(small)
    (small / "train-2.parquet").rename(small / "train.parquet")
    assert f"the number of {small / 'train.parquet'} does not go with" in message(small)
    (small / "train.parquet").rename(small / "train-1-of-2.parquet")
    assert "does not go with the others" in message(small)


def test_a_table_of_no_split(small: Path) -> None:
    (small / "train.parquet").rename(small / "my-train.parquet")
    assert f"{small / 'my-train.parquet'} does not say of which split it is" in message(small)


def test_tables_in_several_folders(small: Path) -> None:
    shutil.copytree(small, small / "other")
    assert f"several folders, such as {small} and {small / 'other'}" in message(small)


def test_tables_of_one_split_that_differ(small: Path, write: Callable, image: dict) -> None:
    (small / "train.parquet").rename(small / "train-0.parquet")
    classes = datasets.ClassLabel(names=["dog", "cat"])
    write("train-1", {"image": [image], "label": [0]}, image=datasets.Image(), label=classes)
    assert "names of classes. Write them alike" in message(small)


def test_tables_beside_images(small: Path, pictures: Pictures) -> None:
    pictures("small", train={"cat": 1})
    assert f"holds both Parquet files, such as {small / 'test.parquet'}, and" in message(small)


def test_a_loading_script(small: Path) -> None:
    (small / "small.py").write_text("raise SystemExit")
    assert f"{small / 'small.py'} is a program" in message(small)


@pytest.mark.parametrize(
    "configs",
    [
        "[{config_name: a, data_files: [{split: train, path: ../other/train.parquet}]}]",
        "[{config_name: a, data_files: 'https://example.org/train.parquet'}]",
        "[{config_name: a, data_files: {split: train, path: [a.parquet]}}]",
        "[{config_name: a, data_dir: elsewhere}]",
        "[{config_name: a, data_files: 'train.parquet'}]",
    ],
)
def test_a_readme_that_names_other_files(small: Path, configs: str) -> None:
    (small / "README.md").write_text(f"---\nconfigs: {configs}\n---\nA dataset.\n")
    text = message(small)
    assert f"{small / 'README.md'} says under `configs`" in text
    assert "remove `configs`" in text


@pytest.mark.parametrize(
    "head",
    [
        "---\nlicense: mit\n---",
        "no head, but configs: x",
        "---\nconfigs: [{config_name: a, data_files: '*.parquet'}]\n---",
        "---\nconfigs: [{config_name: b, data_dir: b}, {config_name: a, data_files: "
        "[{split: train, path: train*}, {split: test, path: test*}, {split: x, path: x*}]}]\n---",
    ],
)
def test_a_readme_that_names_the_same_files(small: Path, head: str) -> None:
    (small / "README.md").write_text(f"{head}\nA dataset.\n")
    assert counts(small) == (3, 2)


def test_a_readme_that_cannot_be_read(small: Path) -> None:
    (small / "README.md").write_text("---\nconfigs: [}\n---\n")
    assert f"The head of {small / 'README.md'} cannot be read" in message(small)


def test_groups_within_a_class(pictures: Pictures) -> None:
    folder = pictures("nested", train={"cat/one": 1, "dog/two": 1}, test={"cat": 1, "dog": 1})
    assert f"{folder / 'train' / 'cat' / 'one'} is a folder within a class" in message(folder)


def test_images_without_class_folders(data_dir: Path, pictures: Pictures) -> None:
    folder = pictures("flat", train={".": 2}, test={".": 1})
    text = message(folder)
    assert f"{folder / 'test' / '0.png'} lies in no folder of a class" in text
    assert f"as {folder / 'test' / 'CLASS' / '0.png'}" in text


def test_an_empty_class_folder(pictures: Pictures) -> None:
    folder = pictures("pets", train={"cat": 1, "dog": 0}, test={"cat": 1})
    assert f"{folder / 'train' / 'dog'} is empty" in message(folder)


def test_a_class_that_training_does_not_have(pictures: Pictures) -> None:
    folder = pictures("pets", train={"Cat": 1, "dog": 1}, test={"cat": 1, "dog": 1})
    text = message(folder)
    assert "classes that train does not have: 'cat'. Those of train are 'Cat', 'dog'" in text


def test_labels_in_a_table_beside_images(pictures: Pictures) -> None:
    folder = pictures("pets", train={"cat": 1}, test={"cat": 1})
    (folder / "metadata.csv").write_text("file_name,label\n")
    assert f"{folder / 'metadata.csv'} is not read" in message(folder)


def test_two_folders_for_one_split(pictures: Pictures) -> None:
    folder = pictures("pets", train={"cat": 1}, test={"cat": 1}, testing={"cat": 1})
    assert f"two folders for the split 'test', one of which is {folder / 'testing'}" in message(
        folder
    )


@pytest.mark.parametrize("name", ["pets.zip", "pictures", "pictures.parquet"])
def test_what_is_packed_or_elsewhere(data_dir: Path, name: str) -> None:
    folder = data_dir / "pets"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"PK")
    text = message(folder)
    assert f"it holds {name}, and nothing that is named after the split 'train'. Unpack" in text


def test_links_are_followed_and_have_to_lead_somewhere(
    data_dir: Path, pictures: Pictures, tmp_path: Path
) -> None:
    folder = pictures("pets", train={"cat": 2, "dog": 1}, test={"cat": 1})
    (folder / "train" / "cat").rename(tmp_path / "cats")
    (folder / "train" / "cat").symlink_to(tmp_path / "cats")
    image = folder / "test" / "cat" / "0.png"
    image.rename(tmp_path / "0.png")
    image.symlink_to(tmp_path / "0.png")
    assert counts(folder) == (3, 1)
    (tmp_path / "0.png").unlink()
    assert f"{image} is missing, or is a link that leads nowhere" in message(folder)


def test_a_pipe_is_not_waited_for(pictures: Pictures, small: Path) -> None:
    folder = pictures("pets", train={"cat": 1}, test={"cat": 1})
    os.mkfifo(folder / "test" / "cat" / "1.png")
    assert f"{folder / 'test' / 'cat' / '1.png'} is no regular file" in message(folder)
    (small / "test.parquet").unlink()
    os.mkfifo(small / "test.parquet")
    assert f"{small / 'test.parquet'} is no regular file" in message(small)


def test_pointers_of_git_lfs(pictures: Pictures, small: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    folder = pictures("pets", train={"cat": 1}, test={"cat": 1})
    (folder / "test" / "cat" / "0.png").write_text(pointer)
    text = message(folder)
    assert f"({folder / 'test' / 'cat' / '0.png'})" in text
    assert "run `git lfs pull`" in text
    (small / "test.parquet").write_text(pointer)
    assert f"{small / 'test.parquet'} is a pointer of Git LFS" in message(small)


@pytest.mark.parametrize("inside", [True, False])
def test_a_table_that_names_a_file(
    small: Path, write: Callable, tmp_path: Path, encode: Callable, *, inside: bool
) -> None:
    path = (small if inside else tmp_path) / "secret.png"
    path.write_bytes(encode(np.zeros((2, 3), dtype=np.uint8)))
    named = str(path) if inside else f"{small}/../../secret.png"
    binary, text = datasets.Value("binary"), datasets.Value("string")
    write(
        "test",
        {"image": [{"bytes": None, "path": named}], "label": [0]},
        image={"bytes": binary, "path": text},
        label=datasets.ClassLabel(names=["cat", "dog"]),
    )
    if inside:
        assert counts(small) == (3, 1)
    else:
        assert f"names the file {named} in place of an image" in message(small)


def test_a_pipe_that_a_table_names(small: Path, write: Callable) -> None:
    os.mkfifo(small / "pipe.png")
    record = {"bytes": None, "path": str(small / "pipe.png")}
    plain = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    classes = datasets.ClassLabel(names=["cat", "dog"])
    write("test", {"image": [record], "label": [0]}, image=plain, label=classes)
    assert "it is no regular file" in message(small)


@pytest.mark.parametrize("image", [None, {"bytes": None, "path": None}])
def test_a_row_without_an_image(small: Path, write: Callable, image: dict | None) -> None:
    plain = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    classes = datasets.ClassLabel(names=["cat", "dog"])
    write("test", {"image": [image], "label": [0]}, image=plain, label=classes)
    text = message(small)
    assert f"Image 0 of test of {small}" in text
    assert "is missing" in text or "there is none" in text


BAD_NAMES = [
    "",
    "/",
    "/etc",
    "..",
    ".",
    "../x",
    "a/../b",
    "a/b/c",
    "a//b",
    "a\0b",
    "a\\b",
    "x" * 300,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_none(data_dir: Path, tmp_path: Path, name: str) -> None:
    for folder in (data_dir, None):
        with pytest.raises(
            InputError, match=r"is not the name of a dataset. Give the name of a fo"
        ):
            load(name, data_dir=folder)
        with pytest.raises(
            InputError, match=r"is not the name of a dataset. Give the name of a fo"
        ):
            write_shards(name, tmp_path / "out", data_dir=folder)
    assert not (tmp_path / "out").exists()


def test_an_owner_and_a_name_in_a_folder(small: Path) -> None:
    shutil.copytree(small, small.parent / "me" / "small")
    assert load("me/small", data_dir=small.parent).num_train == 3


def test_folders_may_be_given_as_text(small: Path, tmp_path: Path) -> None:
    cache = tmp_path / "as text"
    assert load("small", data_dir=str(small.parent), cache_dir=str(cache)).num_train == 3
    assert list(cache.glob("*.safetensors"))


def test_digits_are_not_those_of_a_folder(pictures: Pictures) -> None:
    folder = pictures("digits", train={"cat": 1}, test={"cat": 1})
    assert f"{folder} is a folder of that name: rename it" in message(folder)
