"""Text: a dataset of tokens in a row, read from files and strings, and windows for training."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from wider.data._columns import TEXT, check_filled, has_images, has_text
from wider.data._dataset import Dataset, Preprocessing, digest_of
from wider.data._kinds import KINDS, Kind, Reading, Splits
from wider.data._prepare import check_enough, check_one_validation, prepared
from wider.data._training_data import Augmentation, Batch, Part, TrainingData
from wider.errors import InputError
from wider.tasks import Task

BYTES = 256  # different tokens where each byte is one
CONTEXT = 64  # tokens of a window, by default
SPLITS = ("train", "test", "validation")

Tokens = Integer[Tensor, " tokens"]


@dataclass(frozen=True, eq=False)
class TextData(Dataset):
    """A text, as tokens in a row.

    Args:
        name: the name that was asked for.
        encoding: how the text was stored, such as "utf-8".
        train: the tokens to learn from.
        test: the tokens to test on.
        vocabulary: how many different tokens there are; they are numbers from 0.
        digest: SHA-256, as hexadecimal digits, of all tokens and the tokenizer.
        validation: a split of its own for validation, or None.
        bytes_per_token: of each split, the bytes of its text for each of its tokens.
        tokenizer: SHA-256 of the tokenizer's file; None where there is none.
        context: tokens in a row that go in together.
        notes: what a user should know before training.
    """

    kind: ClassVar[str] = "text"
    fields: ClassVar[frozenset[str]] = frozenset(
        {"num_train", "num_validation", "context", "tokenizer"}
    )

    name: str
    encoding: str
    train: Tokens
    test: Tokens
    vocabulary: int
    digest: str
    validation: Tokens | None = None
    bytes_per_token: Mapping[str, float] = field(default_factory=dict)
    tokenizer: str | None = None
    context: int = CONTEXT
    notes: tuple[str, ...] = ()

    @property
    def num_train(self) -> int:
        """How many training tokens there are."""
        return len(self.train)

    @property
    def task(self) -> Task:
        """See `Dataset`."""
        return Task.of_tokens(self.context, self.vocabulary)

    def adapted(self, preprocessing: Preprocessing) -> Self:
        """See `Dataset`."""
        return replace(self, context=preprocessing.context or CONTEXT)


@dataclass(frozen=True, eq=False)
class PreparedText(TrainingData):
    """Tokens in memory, of which windows are trained on.

    A window holds `context` tokens that go in, and the one that follows each of them is to be said.
    An epoch has as many windows as fit into the training tokens side by side, at random places.
    Validation and test tokens are gone through window by window, and each of them but the first is
    said once; their last window may be shorter, and is a batch of its own.

    Args:
        train: the tokens to learn from.
        test: those to test on.
        validation: those set aside; there may be none.
        vocabulary: how many different tokens there are.
        context: tokens of a window.
        part_bytes_per_token: of each part; see `bytes_per_token`.
    """

    train: Tokens
    test: Tokens
    validation: Tokens
    vocabulary: int
    context: int
    part_bytes_per_token: Mapping[Part, float]

    @property
    def task(self) -> Task:
        """See `TrainingData`."""
        return Task.of_tokens(self.context, self.vocabulary)

    @property
    def device(self) -> torch.device:
        """See `TrainingData`."""
        return self.train.device

    def count(self, part: Part) -> int:
        """Windows of a part."""
        said = self._said(part)
        return said // self.context if part == "train" else -(-said // self.context)

    def num_targets(self, part: Part) -> int:
        """Tokens that are said."""
        return self.count(part) * self.context if part == "train" else self._said(part)

    def bytes_per_token(self, part: Part) -> float:
        """See `TrainingData`; of a piece of a split, that of the whole split."""
        return self.part_bytes_per_token[part]

    def train_batches(
        self,
        order: Int64[Tensor, " windows"],
        *,
        batch_size: int,
        augmentation: Augmentation,
        generator: torch.Generator,
        share: slice = slice(None),
        start: int = 0,
    ) -> Iterator[Batch]:
        """See `TrainingData`; of `order` the length counts, as places are drawn anew each time."""
        self.check_augmentation(augmentation)
        most = len(self.train) - self.context
        places = torch.randint(most, (len(order),), generator=generator).to(self.device)
        for first in range(start, len(order), batch_size):
            yield self._windows("train", places[first : first + batch_size][share], self.context)

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """See `TrainingData`."""
        said, context = self._said(part), self.context
        whole, rest = divmod(said, context)
        for places in (torch.arange(whole, device=self.device) * context).split(batch_size):
            if len(places):
                yield self._windows(part, places, context)
        if rest and part != "train":
            yield self._windows(part, torch.tensor([said - rest], device=self.device), rest)

    def _said(self, part: Part) -> int:
        """How many tokens follow another one."""
        return max(len(getattr(self, part)) - 1, 0)

    def _windows(self, part: Part, places: Int64[Tensor, " windows"], length: int) -> Batch:
        rows = places[:, None] + torch.arange(length + 1, device=self.device)
        windows = getattr(self, part)[rows].long()
        return windows[:, :-1], windows[:, 1:]


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
        vocabulary=vocabulary,
        encoding="utf-8",
        tokenizer=None if tokenizer is None else hashlib.sha256(tokenizer).hexdigest(),
        bytes_per_token=ratios,
        notes=notes,
    )


def of_tokens(
    name: str,
    tokens: Mapping[str, Tokens],
    *,
    vocabulary: int,
    encoding: str,
    tokenizer: str | None = None,
    bytes_per_token: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
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
        notes=tuple(notes),
    )


@prepared.register
def _(
    data: TextData,
    preprocessing: Preprocessing,
    *,
    workers: int | None,  # noqa: ARG001
) -> PreparedText:
    if data.validation is not None:
        check_one_validation(data, preprocessing)
    check_enough(data, preprocessing, "tokens")
    kept = len(data.train) - preprocessing.num_validation
    train = data.train[: preprocessing.num_train or kept]
    validation = data.train[kept:] if data.validation is None else data.validation
    validated = "train" if data.validation is None else "validation"
    for part, tokens, least in (("train", train, data.context + 1), ("test", data.test, 2)):
        if len(tokens) < least:
            raise InputError(
                f"{data.name} has {len(tokens)} tokens for {part}, and with context {data.context} "
                f"{least} are the least: use a smaller context or more tokens"
            )
    if len(validation) == 1:
        raise InputError(
            f"the validation split of {data.name} has one token, which follows no other: use two "
            "or more, or none"
        )
    ratios = data.bytes_per_token
    return PreparedText(
        train=train,
        test=data.test,
        validation=validation,
        vocabulary=data.vocabulary,
        context=data.context,
        part_bytes_per_token={
            "train": ratios.get("train", 1.0),
            "test": ratios.get("test", 1.0),
            "validation": ratios.get(validated, 1.0),
        },
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


def _decoded(name: str, splits: Splits, location: str, reading: Reading) -> TextData:
    texts, others = {}, set()
    for split in SPLITS:
        if split in splits:
            if not has_text(splits[split].features):
                raise InputError(
                    f"The split {split!r} of {location} has no column {TEXT!r} of strings, as "
                    "'train' has: write both alike."
                )
            check_filled(splits[split], TEXT, f"{split} of {location}")
            # Rows are texts of their own, such as articles.
            texts[split] = "\n".join(splits[split].data.column(TEXT).to_pylist())
            others |= set(splits[split].features) - {TEXT}
    unread = ", ".join(map(repr, sorted(others)))
    notes = (f"of its columns, {TEXT!r} is read, and not {unread}",) if others else ()
    return text_data(name, texts, tokenizer=reading.tokenizer, notes=notes)


def _kept(data: TextData) -> dict[str, Tensor]:
    every = {split: getattr(data, split) for split in SPLITS}
    return {split: tokens for split, tokens in every.items() if tokens is not None}


KINDS.register("text")(
    Kind(
        TextData,
        fits=lambda features: has_text(features) and not has_images(features),
        needs="text, in a column 'text' of strings",
        decode=_decoded,
        tensors=_kept,
        about=("vocabulary", "encoding", "tokenizer", "bytes_per_token", "notes"),
        restored=of_tokens,
    )
)
