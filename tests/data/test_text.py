"""Text: what is read, and the windows that are trained on."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from wider.data import (
    PreparedText,
    Preprocessing,
    TextData,
    at_hand,
    digest_at_hand,
    from_arrays,
    load,
    load_dataset,
    load_for,
    prepare,
)
from wider.errors import InputError
from wider.randomness import stream

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

TRAIN, TEST = "To be, or not to be: größer.\n", "that is\n"


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """The folder of a text "small"."""
    (data_dir / "small").mkdir(parents=True)
    for split, text in (("train", TRAIN), ("test", TEST)):
        (data_dir / "small" / f"{split}.txt").write_text(text, "utf-8")
    return data_dir / "small"


def loaded(folder: Path, **options: Any) -> TextData:
    data = load_dataset(folder.name, data_dir=folder.parent, **options)
    assert isinstance(data, TextData)
    return data


def prepared(count: int, *, context: int, test: int = 5, **wanted: Any) -> PreparedText:
    """Tokens that are their own places."""
    data = from_arrays(torch.arange(count), torch.arange(test))
    made = prepare(data, Preprocessing(context=context, **wanted))
    assert isinstance(made, PreparedText)
    return made


def message(folder: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(folder.name, data_dir=folder.parent, **options)
    return str(caught.value)


def test_the_tokens_of_a_text_are_its_bytes(folder: Path):
    data = loaded(folder)
    assert bytes(data.train.tolist()).decode() == TRAIN
    assert bytes(data.test.tolist()).decode() == TEST
    assert (data.name, data.encoding, data.vocabulary, data.validation) == (
        "small",
        "utf-8",
        256,
        None,
    )
    assert data.num_train == len(TRAIN.encode()) == 31
    assert (data.task.input, data.task.shape, data.task.num_outputs) == ("tokens", (64,), 256)


def test_a_column_of_text_is_the_same_as_its_files(folder: Path, write: Callable):
    files = loaded(folder)
    for split in ("train", "test"):
        (folder / f"{split}.txt").unlink()
    write("train", {"text": TRAIN.split("\n"), "stars": [1, 2]}, text=datasets.Value("string"),
          stars=datasets.Value("int64"))  # fmt: skip
    write("test", {"text": [TEST]}, text=datasets.Value("large_string"))
    table = loaded(folder)
    assert table.digest == files.digest
    assert torch.equal(table.train, files.train)
    assert table.notes == ("of its columns, 'text' is read, and not 'stars'",)


def test_several_files_and_a_validation_split_are_read(folder: Path):
    (folder / "train.txt").rename(folder / "train-1-of-2.txt")
    (folder / "train-2-of-2.txt").write_text("more")
    (folder / "val.txt").write_text("held out")
    (folder / "notes.txt").write_text("of no split")
    data = loaded(folder)
    assert bytes(data.train.tolist()).decode() == TRAIN + "\nmore"
    assert data.validation is not None
    assert bytes(data.validation.tolist()) == b"held out"
    (folder / "train-1-of-2.txt").unlink()
    assert "and that of number 1 is missing" in message(folder)


def test_a_text_is_decoded_once_and_again_when_a_file_changes(folder: Path, opened: list[str]):
    (folder / "validation.txt").write_text("held out")
    first, again = loaded(folder), loaded(folder)
    assert len(opened) == 3  # a file of each split
    assert first.digest == again.digest
    for split in ("train", "test", "validation"):
        assert torch.equal(getattr(first, split), getattr(again, split))
    assert vars(first).keys() == vars(again).keys()
    (folder / "test.txt").write_text("another\n")
    assert loaded(folder).digest != first.digest
    assert len(opened) == 2 * 3


def write_tokenizer(path: Path, *, size: int) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)  # pyright: ignore
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TRAIN * 3], trainer)
    tokenizer.enable_truncation(3)  # which would leave most of a text out
    tokenizer.save(str(path))
    return tokenizer


def test_a_tokenizer_makes_the_tokens(folder: Path):
    tokenizer = write_tokenizer(folder / "tokenizer.json", size=270)
    tokenizer.no_truncation()
    data = loaded(folder, tokenizer="tokenizer.json")
    ids = tokenizer.encode(TRAIN).ids
    assert data.train.tolist() == ids
    assert 3 < len(ids) < len(TRAIN.encode())
    assert data.vocabulary == tokenizer.get_vocab_size()
    assert loaded(folder, tokenizer="tokenizer.json").digest == data.digest
    made = prepare(data, Preprocessing(context=2))
    assert made.bytes_per_token("train") == len(TRAIN.encode()) / len(ids)
    assert made.bytes_per_token("test") == len(TEST.encode()) / len(data.test)
    assert prepare(loaded(folder), Preprocessing(context=2)).bytes_per_token("test") == 1


def test_the_tokenizer_is_part_of_the_digest_even_where_tokens_are_the_same(folder: Path):
    wanted = Preprocessing(dataset="small", tokenizer="a.json")
    write_tokenizer(folder / "a.json", size=270)
    first = digest_at_hand(wanted, data_dir=folder.parent)
    document = json.loads((folder / "a.json").read_text())
    document["truncation"] = None
    (folder / "a.json").write_text(json.dumps(document))
    assert first != digest_at_hand(wanted, data_dir=folder.parent)
    assert first != digest_at_hand(Preprocessing(dataset="small"), data_dir=folder.parent)


@given(count=st.integers(2, 60), context=st.integers(1, 12), batch_size=st.integers(1, 5))
def test_windows_of_a_test_say_each_token_but_the_first_once(
    count: int, context: int, batch_size: int
):
    made = prepared(20, context=context, test=count)
    batches = list(made.batches("test", batch_size=batch_size))
    assert torch.cat([targets.flatten() for _, targets in batches]).tolist() == list(
        range(1, count)
    )
    for inputs, targets in batches:
        assert torch.equal(inputs + 1, targets)
        assert inputs.dtype == torch.long
        assert len(inputs) <= batch_size
    assert made.num_targets("test") == count - 1
    assert made.count("test") == sum(len(inputs) for inputs, _ in batches)
    assert made.count("test") == math.ceil((count - 1) / context)
    assert all(inputs.shape[1] == context for inputs, _ in batches[:-1])


@given(
    count=st.integers(8, 40),
    context=st.integers(1, 7),
    batch_size=st.integers(1, 4),
    share=st.sampled_from([slice(None), slice(0, None, 2), slice(1, None, 2)]),
    seed=st.integers(0, 5),
)
def test_the_rest_of_an_epoch_has_the_windows_of_the_whole(
    count: int, context: int, batch_size: int, share: slice, seed: int
):
    made = prepared(count, context=context)
    windows = made.count("train")
    assert windows == (count - 1) // context
    assert made.num_targets("train") == windows * context

    def epoch(start: int, share: slice) -> list[Any]:
        order, generator = torch.randperm(windows), stream(seed, "windows")
        return list(
            made.train_batches(
                order,
                batch_size=batch_size,
                augmentation="none",
                generator=generator,
                share=share,
                start=start,
            )
        )

    whole = epoch(0, slice(None))
    assert sum(len(inputs) for inputs, _ in whole) == windows
    for inputs, targets in whole:
        assert inputs.shape == targets.shape == (len(inputs), context)
        assert torch.equal(inputs + 1, targets)  # the tokens are their places
        assert torch.equal(inputs, inputs[:, :1] + torch.arange(context))
    for start in range(0, windows, batch_size):
        rest = epoch(start, share)
        assert len(rest) == len(whole[start // batch_size :])
        for (inputs, targets), (every, wanted) in zip(
            rest, whole[start // batch_size :], strict=True
        ):
            assert torch.equal(inputs, every[share])
            assert torch.equal(targets, wanted[share])


def test_windows_begin_everywhere_alike():
    made = prepared(9, context=2)
    places = torch.zeros(9, dtype=torch.long)
    for seed in range(700):
        for inputs, _ in made.train_batches(
            torch.arange(4), batch_size=4, augmentation="none", generator=stream(seed, "w")
        ):
            places += torch.bincount(inputs[:, 0], minlength=9)
    # 2,800 draws over 7 places: 400 each, with a deviation of 18.5.
    assert places[7:].tolist() == [0, 0]
    assert places[:7].sub(400).abs().max() < 93


def test_pieces_of_train_are_set_aside_from_its_ends():
    made = prepared(20, context=2, num_train=10, num_validation=4)
    assert made.train.tolist() == list(range(10))
    assert made.validation.tolist() == [16, 17, 18, 19]
    assert prepared(20, context=2, num_validation=4).train.tolist() == list(range(16))
    assert made.count("validation") == 2
    assert prepared(20, context=2).count("validation") == 0
    assert list(prepared(20, context=2).batches("validation", batch_size=2)) == []
    every = [targets for _, targets in made.batches("train", batch_size=3)]
    assert torch.cat(every).flatten().tolist() == list(range(1, 9))
    assert made.to("meta").device.type == "meta"


def test_the_context_is_part_of_the_task_and_the_text_is_read_once(folder: Path):
    read = []
    for context in (3, 5):
        wanted = Preprocessing(dataset="small", context=context)
        data = at_hand(wanted, data_dir=folder.parent)
        assert isinstance(data, TextData)
        assert data.task.shape == (context,)
        assert load_for(wanted, data_dir=folder.parent).task.shape == (context,)
        read.append(data.train)
    assert read[0] is read[1]


@pytest.mark.parametrize(
    ("count", "wanted", "said"),
    [
        (4, {"context": 4}, "has 4 tokens for train, and with context 4 5 are the least"),
        (9, {"context": 4, "num_train": 4}, "has 4 tokens for train"),
        (9, {"context": 2, "num_validation": 9}, "need 10 tokens, but arrays has 9 training tok"),
        (9, {"context": 2, "num_validation": 1}, "validation split of arrays has one token"),
        (9, {"context": 2, "normalisation": "unit"}, "normalisation is 'unit', but arrays is of t"),
        (9, {"context": 2, "transformations": ["whiten"]}, "transformations is .*leave transf"),
    ],
)
def test_what_does_not_fit_a_text_is_refused(count: int, wanted: dict[str, Any], said: str):
    preprocessing = Preprocessing.model_validate(wanted)
    with pytest.raises(InputError, match=said):
        prepare(from_arrays(torch.arange(count), torch.arange(5)), preprocessing)


def test_a_text_of_too_few_test_tokens_or_two_validations_is_refused():
    with pytest.raises(InputError, match="has 1 tokens for test, and with context 2 2 are"):
        prepared(9, context=2, test=1)
    with_one = from_arrays(torch.arange(9), torch.arange(5), validation=torch.arange(3))
    assert prepare(with_one, Preprocessing(context=2)).count("validation") == 1
    with pytest.raises(InputError, match="has a validation split of its own: leave num_validation"):
        prepare(with_one, Preprocessing(context=2, num_validation=2))


@pytest.mark.parametrize(
    ("field", "value"), [("image_size", 8), ("grey", True), ("classes", (0, 1)), ("split_seed", 3)]
)
def test_fields_of_images_are_refused_when_a_text_is_loaded(folder: Path, field: str, value: Any):
    wanted = Preprocessing(dataset="small", **{field: value})
    for how in (load_for, at_hand):
        with pytest.raises(InputError, match=f"{field} is .*{field}"):
            how(wanted, data_dir=folder.parent)


def test_augmentation_is_for_images():
    with pytest.raises(InputError, match="augmentation 'crop' is for images, and these are tokens"):
        prepared(9, context=2).check_augmentation("crop")


def test_a_text_that_cannot_be_read(folder: Path, write: Callable):
    (folder / "test.txt").write_bytes(b"abc\xff")
    assert f"{folder / 'test.txt'} is no text in UTF-8: byte 3 is 0xff" in message(folder)
    (folder / "test.txt").write_bytes(b"")
    assert "The text of test of small is empty" in message(folder)
    (folder / "test.txt").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "is a pointer of Git LFS" in message(folder)
    (folder / "test.txt").unlink()
    assert "has no split 'test', only 'train'" in message(folder)
    (folder / "test.txt").symlink_to(folder / "gone")
    assert "has no split 'test'" in message(folder) or "leads nowhere" in message(folder)


def test_two_kinds_in_one_folder_are_refused(folder: Path, write: Callable):
    other = write("train", {"text": ["a"]}, text=datasets.Value("string"))
    said = f"{folder} holds both {folder / 'test.txt'} and {other}: they are two datasets"
    assert said in message(folder)
    other.unlink()
    (folder / "train.csv").write_text("a,b\n1,2\n")
    assert f"and {folder / 'train.csv'}" in message(folder) or "holds both" in message(folder)
    (folder / "train.csv").unlink()
    (folder / "train").mkdir()
    assert f"holds both {folder / 'test.txt'} and {folder / 'train'}" in message(folder)


def test_rows_of_text(data_dir: Path, write: Callable):
    write("train", {"text": ["a", None]}, text=datasets.Value("string"))
    write("test", {"text": ["a"]}, text=datasets.Value("string"))
    assert "Row 1 of train of" in message(data_dir / "small")
    write("train", {"text": ["a", "b"]}, text=datasets.Value("string"))
    write("test", {"text": [1]}, text=datasets.Value("int64"))
    assert "split 'test' of" in message(data_dir / "small")


@pytest.mark.parametrize("name", ["gone.json", "../small/train.txt", "", "."])
def test_a_tokenizer_that_is_not_there(folder: Path, name: str):
    assert f"tokenizer is {name!r}, and there is no such file in" in message(folder, tokenizer=name)


def test_a_tokenizer_that_is_none(folder: Path):
    said = message(folder, tokenizer="train.txt")
    assert "the tokenizer's file cannot be read: " in said
    assert "target is 'a', but small is of text" in message(folder, target="a")
    with pytest.raises(InputError, match="tokenizer is 'a', a file in the folder of a dataset"):
        load_dataset("someone/small", tokenizer="a")


def test_load_is_for_images(folder: Path):
    with pytest.raises(
        InputError, match=r"small is of text, and load is for images .*load_dataset"
    ):
        load("small", data_dir=folder.parent)
    folder.rename(folder.with_name("mnist"))
    with pytest.raises(InputError, match=r"mnist is a dataset of images, but .* of text. Rename"):
        load_dataset("mnist", data_dir=folder.parent)


@pytest.mark.skipif(
    not (SHARED_DATA / "tiny_shakespeare").is_dir(),
    reason=f"needs Tiny Shakespeare in {SHARED_DATA / 'tiny_shakespeare'}",
)
def test_tiny_shakespeare_is_the_known_one():
    data = load_dataset("tiny_shakespeare", data_dir=SHARED_DATA)
    assert isinstance(data, TextData)
    assert data.validation is not None
    assert [len(data.train), len(data.validation), len(data.test)] == [1_003_854, 55_770, 55_770]
    assert bytes(data.train[:14].tolist()) == b"First Citizen:"
    assert len(data.train.unique()) == 65
    assert prepare(data, Preprocessing()).count("train") == 15_685
