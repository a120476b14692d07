"""Which classes there are, and which image is of which."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from rich.console import Console

from wider.data import ImageData, Preprocessing, load, load_for, write_shards
from wider.errors import InputError
from wider.runs import RunSpec, Store, train_missing
from wider.training import Recipe

Write = Callable[..., ImageData]


@pytest.fixture
def labelled(data_dir: Path, write: Callable, encode: Callable) -> Write:
    """Loads a dataset of such labels: each image has its label's brightness, and no other its."""

    def labelled(
        train: Sequence[int],
        test: Sequence[int],
        train_names: Sequence[str] = (),
        test_names: Sequence[str] = (),
    ) -> ImageData:
        shift = 0
        for split, labels, names in (("train", train, train_names), ("test", test, test_names)):
            pixels = [np.full((2, 2), shift + row, dtype=np.uint8) for row in range(len(labels))]
            shift += len(labels)
            columns = {
                "image": [{"bytes": encode(one), "path": None} for one in pixels],
                "label": list(labels),
            }
            kind = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
            write(split, columns, image=datasets.Image(), label=kind)
        return load("small", data_dir=data_dir)

    return labelled


def test_classes_are_known_by_their_names(labelled: Write) -> None:
    data = labelled([0, 1, 2], [0, 1, 2], ["cat", "dog", "eel"], ["eel", "cat", "dog"])
    assert data.classes == ("cat", "dog", "eel")
    assert data.test.labels.tolist() == [2, 0, 1]
    fewer = labelled([0, 1, 2], [0, 0], ["cat", "dog", "eel"], ["eel"])
    assert fewer.test.labels.tolist() == [2, 2]
    more = labelled([0, 1], [2, 1], ["cat", "dog"], ["not used", "dog", "cat"])
    assert more.test.labels.tolist() == [0, 1]


def test_test_images_of_another_class(labelled: Write) -> None:
    with pytest.raises(InputError, match=r"does not have: 'fox'. Those of train are 'cat', 'dog'"):
        labelled([0, 1], [0, 1], ["cat", "dog"], ["cat", "fox"])


def test_names_in_one_split_alone(labelled: Write) -> None:
    with pytest.raises(InputError, match=r"labels of train .* have the names.* those of test are"):
        labelled([0, 1], [0, 1], ["cat", "dog"])
    with pytest.raises(InputError, match=r"labels of test .* have the names.* those of train are"):
        labelled([0, 1], [0, 1], (), ["cat", "dog"])


@pytest.mark.parametrize(
    ("labels", "gap"), [([10, 500, 70_000], 0), ([1, 2, 3], 0), ([0, 1, 3], 2), ([0, 2**62], 1)]
)
def test_numbers_without_images(labelled: Write, labels: list[int], gap: int) -> None:
    count = len(labels)
    with pytest.raises(InputError, match=f"has the label {gap};.*classes from 0 to {count - 1}"):
        labelled(labels, labels)


def test_a_number_that_training_does_not_have(labelled: Write) -> None:
    with pytest.raises(InputError, match=r"train .* has the label 5, which images of test have"):
        labelled([0, 1, 1], [0, 5])


def test_one_name_in_two_forms(labelled: Write) -> None:
    forms = ["caf\u00e9", "cafe\u0301"]
    with pytest.raises(InputError, match=r"'caf\\xe9' and 'cafe\\u0301'"):
        labelled([0, 1], [0], forms, forms)
    with pytest.raises(InputError, match=r"train does not have: 'cafe\\u0301'"):
        labelled([0, 1], [0], ["caf\u00e9", "x"], forms[1:])


def test_names_that_are_almost_the_same_are_told(labelled: Write) -> None:
    names = ["Cat", "cat", "dog"]
    data = labelled([0, 1, 2], [0], names, names)
    (note,) = data.notes
    assert note == "classes 'Cat' and 'cat' have almost the same name; they count as two"
    assert data.num_classes == 3


def test_classes_without_a_training_image_are_told(labelled: Write, data_dir: Path) -> None:
    names = list("abcdefghij")
    expected = (
        "7 of the 10 classes have no training image ('d', 'e', 'f', 'g', 'h', ...), and nets have "
        "an output for each of them all the same",
    )
    assert labelled([0, 1, 2], [0], names, names).notes == expected
    assert load("small", data_dir=data_dir).notes == expected  # from the cache, too


def test_images_of_both_splits_are_told(
    data_dir: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    write_images("train", [encode(grey) for grey in greys[:3]], [0, 1, 0])
    again = [encode(greys[4]), encode(greys[1], "BMP"), encode(greys[1]), encode(greys[3])]
    write_images("test", again, [0, 1, 1, 1])
    data = load("small", data_dir=data_dir)
    assert data.notes == (
        "2 of 4 test images are training images, too, such as test image 1, which is training "
        "image 1",
    )
    for split in ("train", "test"):
        write_images(split, [encode(grey) for grey in greys[:3]], [0, 1, 0])
    assert load("small", data_dir=data_dir).notes[0].startswith("3 of 3 test images")


def test_numbers_of_classes_are_told_by_their_names(labelled: Write, data_dir: Path) -> None:
    names = sorted(str(number) for number in range(12))
    labelled(range(12), range(12), names, names)
    chosen = load_for(Preprocessing(dataset="small", classes=(2, 3)), data_dir=data_dir)
    assert isinstance(chosen, ImageData)
    assert chosen.classes == ("10", "11")
    assert chosen.notes == ("classes 2, 3 are '10', '11'",)


def test_training_begins_with_what_is_told(labelled: Write, data_dir: Path, tmp_path: Path) -> None:
    names = ["[red]", "cat", "dog"]
    labelled([0, 1, 2], [0, 1, 2], names, names)
    spec = RunSpec(
        data=Preprocessing(dataset="small", classes=(0, 2)), recipe=Recipe(epochs=1, batch_size=2)
    )
    shown = io.StringIO()
    console = Console(file=shown, width=20)
    train_missing([spec], Store(tmp_path / "runs"), data_dir=data_dir, console=console)
    assert "small: classes 0, 2 are '[red]', 'dog'\n" in shown.getvalue()


def test_a_preparation_keeps_and_tells_its_notes(
    labelled: Write, data_dir: Path, tmp_path: Path
) -> None:
    names = ["Cat", "cat"]
    notes = labelled([0, 1], [0, 1], names, names).notes
    assert len(notes) == 1
    shown = io.StringIO()
    index = write_shards(
        "small", tmp_path / "out", data_dir=data_dir, console=Console(file=shown, width=200)
    )
    assert index.notes == notes
    assert f"small: {notes[0]}\n" in shown.getvalue()
    large = Preprocessing(dataset="small", image_size=32)
    assert load_for(large, data_dir=tmp_path / "out").notes == notes


def test_a_preparation_tells_of_images_in_both_splits(
    data_dir: Path, tmp_path: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    write_images("train", [encode(grey) for grey in greys[:3]], [0, 1, 0])
    write_images("test", [encode(greys[4]), encode(greys[2], "BMP")], [0, 1])
    index = write_shards("small", tmp_path / "out", data_dir=data_dir)
    assert index.notes == (
        "1 of 2 test images are training images, too, such as test image 1, which is training "
        "image 2",
    )
