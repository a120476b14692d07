"""Folders of tiny images with faults: what is loaded is what was written, or it is refused."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.reliability._examples import try_examples
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from hypothesis import strategies as st

from wider.data import load
from wider.errors import InputError

BATCH = 10  # examples that share a child
SIZE = 4  # pixels
NAMES = ["cat", "dog", "7", "train", "test", "[b]", "a b", "é", "Cat", "label", "0", "10", "2"]
SUFFIXES = ["png", "PNG", "jpg", "jpeg", "bmp"]
FAULTS = ["none", "none", "text", "cut", "empty", "16 bits", "size", "hidden", "nested", "csv"]


@dataclass(frozen=True)
class Made:
    """A dataset that is made up: for each split the classes and greys of its images.

    Attributes:
        splits: the name of each, with its images: class, and grey, which tells it from others.
        suffix: of the files.
        fault: of one of them.
        place: which one.
    """

    splits: dict[str, list[tuple[str, int]]]
    suffix: str = "png"
    fault: str = "none"
    place: int = 0


def prepare(folder: Path) -> Case:
    """Nothing is shared."""
    folder.mkdir()
    kinds: dict[str, Callable[[Made], None]] = {
        "a folder of images": _check_folder,
        "a parquet file": _check_parquet,
    }

    def case(random: Random, tally: Tally, here: Path) -> None:
        kind = random.choice(list(kinds))
        check = kinds[kind]
        try_examples(kind, _made(), check, BATCH, random=random, tally=tally, here=here)

    return case


def _made() -> st.SearchStrategy[Made]:
    @st.composite
    def made(draw: st.DrawFn) -> Made:
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
        mostly = st.integers(0, 9)
        train = "train" if draw(mostly) else draw(st.sampled_from(["training", "Train", "all"]))
        test = (
            "test" if draw(mostly) else draw(st.sampled_from(["val", "validation", "Test", "eval"]))
        )
        splits = {}
        for split in (train, test):
            # Now and then a split has a class that the other lacks.
            own = names if draw(mostly) > 1 else [*names, draw(st.sampled_from(NAMES))]
            count = draw(st.integers(1, 6)) if draw(mostly) else 0
            labels = draw(st.lists(st.sampled_from(own), min_size=count, max_size=count))
            splits[split] = list(zip(labels, range(0, 240, 40), strict=False))
        return Made(
            splits,
            draw(st.sampled_from(SUFFIXES)),
            draw(st.sampled_from(FAULTS)),
            draw(st.integers(0, 5)),
        )

    return made()


@dataclass
class _Counter:
    value: int = 0


COUNTER = _Counter()


def _fresh_folder() -> Path:
    """A folder of a name that no cache knows."""
    COUNTER.value += 1
    folder = Path(f"made-{COUNTER.value}")
    folder.mkdir()
    return folder


def _check_folder(made: Made) -> None:
    folder = _fresh_folder()
    number = 0
    for split, images in made.splits.items():
        (folder / split).mkdir()
        for place, (name, grey) in enumerate(images):
            path = folder / split / name / f"{place}.{made.suffix}"
            path.parent.mkdir(exist_ok=True)
            spoilt = number == made.place
            path.write_bytes(_image(grey, made.suffix, made.fault if spoilt else "none"))
            if spoilt:
                _beside(path, made.fault)
            number += 1
    _check(
        folder, made, {split: [name for name, _ in images] for split, images in made.splits.items()}
    )


def _beside(path: Path, fault: str) -> None:
    if fault == "hidden":
        (path.parent / f".{path.name}").write_bytes(path.read_bytes())
    elif fault == "nested":
        (path.parent / "deeper").mkdir()
        path.rename(path.parent / "deeper" / path.name)
    elif fault == "csv":
        (path.parents[1] / "metadata.csv").write_text(f"file_name,label\n{path.name},1\n")


def _check_parquet(made: Made) -> None:
    folder = _fresh_folder()
    names = sorted({name for images in made.splits.values() for name, _ in images})
    number = 0
    for split, images in made.splits.items():
        records, labels = [], []
        for name, grey in images:
            fault = made.fault if number == made.place else "none"
            records.append({"bytes": _image(grey, made.suffix, fault), "path": None})
            labels.append(-1 if fault == "nested" else names.index(name))
            number += 1
        _write(folder / f"{split}.parquet", records, labels, names)
    if made.fault == "hidden":
        path = folder / "train.parquet"
        if path.exists():
            path.write_bytes(path.read_bytes()[: 100 * made.place])
    own = {split: [name for name, _ in images] for split, images in made.splits.items()}
    _check(folder, made, own, names)


def _write(path: Path, records: list[Any], labels: list[int], names: list[str]) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(records, image), "label": pa.array(labels, pa.int64())})
    features = {
        "image": {"_type": "Image"},
        "label": {"names": names, "_type": "ClassLabel"},
    }
    about = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), path)


def _check(
    folder: Path, made: Made, expected: dict[str, list[str]], names: list[str] | None = None
) -> None:
    try:
        data = load(folder.name, data_dir=Path())
    except InputError:
        if made.fault == "none" and _is_plain(expected):
            raise Wrong("refused, though nothing is wrong with it") from None
        return
    classes = names or sorted({name for labels in expected.values() for name in labels})
    if list(data.classes) != classes:
        raise Wrong(f"classes {data.classes}, not {classes}")
    for split, found in (("train", data.train), ("test", data.test)):
        greys = [round(float(grey)) for grey in found.images.float().mean(dim=(1, 2, 3))]
        labels = [data.classes[label] for label in found.labels]
        shown = sorted(zip((40 * round(grey / 40) for grey in greys), labels, strict=True))
        written = sorted(
            (grey, name)
            for own, images in made.splits.items()
            for name, grey in images
            if SPLIT_NAMES.get(own.lower()) == split
        )
        if shown != written:
            raise Wrong(f"{split} is {shown}, not {written}")


def _is_plain(expected: dict[str, list[str]]) -> bool:
    """Whether no one could have anything against these splits and names."""
    plain = {"cat", "dog", "7", "a b", "0", "10", "2", "label"}
    named = set(expected) == {"train", "test"} and all(expected.values())
    return named and all(set(labels) <= plain for labels in expected.values()) and _same(expected)


def _same(expected: dict[str, list[str]]) -> bool:
    return set(expected["train"]) >= set(expected["test"])


def _image(grey: int, suffix: str, fault: str) -> bytes:
    side = SIZE + 1 if fault == "size" else SIZE
    kind = np.uint16 if fault == "16 bits" else np.uint8
    file, pixels = io.BytesIO(), np.full((side, side), grey, kind)
    kinds = {"jpg": "JPEG", "jpeg": "JPEG", "bmp": "BMP"}
    name = "PNG" if fault == "16 bits" else kinds.get(suffix, "PNG")
    PIL.Image.fromarray(pixels).save(file, format=name)
    content = file.getvalue()
    spoilt = {"text": b"no image", "cut": content[: len(content) // 2], "empty": b""}
    return spoilt.get(fault, content)


SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "eval": "test"}
PART = Part("datasets", tries=500, share=5, prepare=prepare, case_tries=BATCH)
