"""Text: a dataset of tokens in a row, and windows of them for training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from wider.data._augment import Augmentation
from wider.data._dataset import Dataset
from wider.data._draw import check_enough, check_one_validation
from wider.data._part import Part
from wider.data._prepare import prepared
from wider.data._preprocessing import Preprocessing
from wider.data._training_data import Batch, TrainingData
from wider.errors import InputError
from wider.tasks import Task

CONTEXT = 64  # tokens of a window, by default

Tokens = Integer[Tensor, " tokens"]


@dataclass(frozen=True, eq=False)
class TextData(Dataset):
    """A text, as tokens in a row.

    Args:
        name: the name that was asked for.
        encoding: how the text was stored, such as "utf-8".
        train: the tokens to learn from.
        test: the tokens to judge by.
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
        test: those to judge by.
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

    def check_augmentation(self, augmentation: Augmentation) -> None:
        """See `TrainingData`."""
        if augmentation != "none":
            raise InputError(
                f"augmentation {augmentation!r} moves images, and this is text: use 'none'"
            )

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
