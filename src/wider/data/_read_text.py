"""From texts, and the files that hold them, to tokens."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wider.data._columns import has_images
from wider.data._digest import digest_of
from wider.data._kinds import KINDS, Kind, Reading, Splits, Stored
from wider.data._plain_files import TEXT
from wider.data._text import TextData, Tokens
from wider.errors import InputError

if TYPE_CHECKING:
    import datasets

BYTES = 256  # different tokens where each byte is one
SPLITS = ("train", "test", "validation")


def text_data(
    name: str,
    texts: Mapping[str, str],
    *,
    tokenizer: bytes | None = None,
    notes: tuple[str, ...] = (),
) -> TextData:
    """A dataset of texts.

    Args:
        name: of the dataset.
        texts: of "train" and "test", and maybe of "validation".
        tokenizer: the content of a file of the `tokenizers` library; None for bytes as tokens.
        notes: what a user should know before training.

    Raises:
        InputError: a text is empty, or the tokenizer cannot be read.
    """
    contents = {split: text.encode() for split, text in texts.items()}
    if tokenizer is None:
        tokens, vocabulary = {split: _bytes(content) for split, content in contents.items()}, BYTES
    else:
        tokens, vocabulary = _tokenized(texts, tokenizer)
    for split, found in tokens.items():
        if not len(found):
            raise InputError(f"The text of {split} of {name} is empty. Put some into it.")
    ratios = {split: len(contents[split]) / len(tokens[split]) for split in contents}
    return of_tokens(
        name,
        tokens,
        vocabulary,
        encoding="utf-8",
        tokenizer=None if tokenizer is None else hashlib.sha256(tokenizer).hexdigest(),
        bytes_per_token=ratios,
        notes=notes,
    )


def of_tokens(
    name: str,
    tokens: Mapping[str, Tokens],
    vocabulary: int,
    *,
    encoding: str,
    tokenizer: str | None = None,
    bytes_per_token: Mapping[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> TextData:
    """A dataset of tokens.

    Args:
        name: of the dataset.
        tokens: of "train" and "test", and maybe of "validation".
        vocabulary: how many different ones there are.
        encoding: how they were stored.
        tokenizer: the digest of what made them of a text.
        bytes_per_token: of each split; 1 by default.
        notes: what a user should know before training.
    """
    splits = [split for split in SPLITS if split in tokens]
    digest = digest_of([vocabulary, tokenizer, *splits], [tokens[split] for split in splits])
    return TextData(
        name=name,
        encoding=encoding,
        train=tokens["train"],
        test=tokens["test"],
        vocabulary=vocabulary,
        digest=digest,
        validation=tokens.get("validation"),
        bytes_per_token=dict(bytes_per_token or dict.fromkeys(splits, 1.0)),
        tokenizer=tokenizer,
        notes=notes,
    )


def _bytes(content: bytes) -> Tokens:
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())


def _tokenized(texts: Mapping[str, str], content: bytes) -> tuple[dict[str, Tokens], int]:
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "a tokenizer needs the package tokenizers: run `pip install tokenizers`, or leave "
            "tokenizer out to have bytes as tokens"
        ) from error
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more precise
        raise InputError(
            f"the tokenizer's file cannot be read: {' '.join(str(error).split())}. Save it with "
            "Tokenizer.save of the library tokenizers."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokens = {
        split: torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids, dtype=torch.int32)
        for split, text in texts.items()
    }
    highest = max((int(found.max()) for found in tokens.values() if len(found)), default=0)
    return tokens, max(tokenizer.get_vocab_size(), highest + 1)


def _fits(features: "datasets.Features") -> bool:
    return not has_images(features) and _has_text(features)


def _has_text(features: "datasets.Features") -> bool:
    return getattr(features.get(TEXT), "dtype", None) in ("string", "large_string")


def _decoded(name: str, splits: Splits, location: str, reading: Reading) -> TextData:
    texts, others = {}, set()
    for split in SPLITS:
        if split in splits:
            if not _has_text(splits[split].features):
                raise InputError(
                    f"The split {split!r} of {location} has no column {TEXT!r} of strings, as "
                    "'train' has: write both alike."
                )
            column = splits[split].data.column(TEXT)
            if column.null_count:
                raise InputError(
                    f"Row {column.is_null().index(True).as_py()} of {split} of {location}, in "
                    f"column {TEXT!r}, is missing: put a text there or leave its row out."
                )
            # Rows are texts of their own, such as articles.
            texts[split] = "\n".join(column.to_pylist())
            others |= set(splits[split].features) - {TEXT}
    unread = ", ".join(map(repr, sorted(others)))
    notes = (f"of its columns, {TEXT!r} is read, and not {unread}",) if others else ()
    return text_data(name, texts, tokenizer=reading.tokenizer, notes=notes)


def _stored(data: TextData) -> Stored:
    every = {split: getattr(data, split) for split in SPLITS}
    about = {
        "vocabulary": data.vocabulary,
        "encoding": data.encoding,
        "tokenizer": data.tokenizer,
        "bytes_per_token": dict(data.bytes_per_token),
        "notes": data.notes,
    }
    return {split: tokens for split, tokens in every.items() if tokens is not None}, about


def _restored(name: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> TextData:
    return of_tokens(
        name,
        tensors,
        about["vocabulary"],
        encoding=about["encoding"],
        tokenizer=about["tokenizer"],
        bytes_per_token=about["bytes_per_token"],
        notes=tuple(about["notes"]),
    )


KINDS.register("text")(
    Kind(
        TextData,
        _fits,
        "text, in a column 'text' of strings",
        _decoded,
        _stored,
        _restored,
    )
)
