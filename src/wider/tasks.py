"""What data and nets agree on: what goes in and what comes out."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from wider.errors import InputError

Input = Literal["images", "features", "tokens"]
Output = Literal["classes", "numbers", "tokens"]

OBJECTIVES: dict[Output, str] = {
    "classes": "cross-entropy",
    "numbers": "mean-squared-error",
    "tokens": "next-token",
}


@dataclass(frozen=True)
class Task:
    """A task, whatever data it is of.

    Args:
        input: what one example is: an image, numbers in no order, or tokens in a row.
        shape: of one example: (channels, height, width), (features,) or (context,).
        output: what is to be said of each example, or of each token what comes next.
        num_outputs: of the net for each of them: classes, numbers, or different tokens.
        vocabulary: different tokens that go in; None where no tokens do.
    """

    input: Input
    shape: tuple[int, ...]
    output: Output
    num_outputs: int
    vocabulary: int | None = None

    @classmethod
    def of_images(cls, image_shape: tuple[int, int, int], num_classes: int) -> "Task":
        """To recognise images of one size.

        Args:
            image_shape: channels, height, width.
            num_classes: that they are of.
        """
        return cls("images", image_shape, "classes", num_classes)

    @classmethod
    def of_tokens(cls, context: int, vocabulary: int) -> "Task":
        """To say the next token.

        Args:
            context: tokens in a row that go in together.
            vocabulary: different tokens.
        """
        return cls("tokens", (context,), "tokens", vocabulary, vocabulary)

    @property
    def objective(self) -> str:
        """The name of what training makes small, unless a recipe names another."""
        return OBJECTIVES[self.output]

    @property
    def numbers_in(self) -> int:
        """How many numbers one example holds."""
        return math.prod(self.shape)

    @property
    def sizes(self) -> dict[str, Any]:
        """What a net can be told of the task, by the names by which nets ask.

        `num_outputs` of all, and `num_classes` where these are classes; of images `image_shape` and
        `in_channels`; of images and features `in_features`; of tokens `vocab_size` and `context`.
        """
        sizes: dict[str, Any] = {"num_outputs": self.num_outputs}
        if self.output == "classes":
            sizes["num_classes"] = self.num_outputs
        if self.input == "images":
            sizes |= {"image_shape": self.shape, "in_channels": self.shape[0]}
        if self.input == "tokens":
            return sizes | {"vocab_size": self.vocabulary, "context": self.shape[0]}
        return sizes | {"in_features": self.numbers_in}

    def sizes_for(self, names: tuple[str, ...], *, net: str) -> dict[str, Any]:
        """Those of `sizes` that a net needs.

        Args:
            names: of the sizes.
            net: the name of the net, for messages.

        Raises:
            InputError: the task has no such size.
        """
        sizes = self.sizes
        if missing := [name for name in names if name not in sizes]:
            raise InputError(
                f"{net} needs {', '.join(missing)}, and for {self.input} with {self.output} to say "
                f"there are {', '.join(sizes)}: use another model, or other data"
            )
        return {name: sizes[name] for name in names}

    def zeros(self, batch_size: int = 1) -> Tensor:
        """Inputs of the right shape and type, all of them 0.

        Args:
            batch_size: examples.
        """
        dtype = torch.long if self.input == "tokens" else torch.float32
        return torch.zeros(batch_size, *self.shape, dtype=dtype)
