"""Which training examples are visited when."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from wider.randomness import stream
from wider.training._recipe import Recipe


@dataclass(frozen=True)
class Stretch:
    """Examples in the order in which they are visited, and which of them are to be visited now.

    Attributes:
        number: of the stretch in its run, from 1.
        order: of all its examples.
        start: of those that are to be visited,
        stop: and their end; both between batches.
    """

    number: int
    order: Int64[Tensor, " examples"]
    start: int
    stop: int


@dataclass(frozen=True)
class Rounds:
    """A run in rounds, after each of which there is an evaluation.

    A round is an epoch, of which the last batch may be smaller; or, where the recipe counts steps,
    so many of them. Then one permutation of the examples follows on the other, and all batches are
    full. Neither the order nor the stretches depend on when there is an evaluation.

    Attributes:
        recipe: how to train.
        num_examples: to train on.
        seed: of the order.
    """

    recipe: Recipe
    num_examples: int
    seed: int

    @property
    def num_steps(self) -> int:
        """Of the whole run."""
        return self.recipe.steps or self.recipe.epochs * self._batches

    def examples_in(self, number: int) -> int:
        """How many are visited in a round, counted from 1."""
        recipe = self.recipe
        if recipe.steps is None:
            return self.num_examples
        before = (number - 1) * recipe.steps_a_round
        return min(recipe.steps_a_round, recipe.steps - before) * recipe.batch_size

    def steps_before(self, number: int, visited: int = 0) -> int:
        """How many steps were taken before a round, and before so many of its examples."""
        a_round = self._batches if self.recipe.steps is None else self.recipe.steps_a_round
        return (number - 1) * a_round + -(-visited // self.recipe.batch_size)

    def stretches(self, number: int, visited: int) -> Iterator[Stretch]:
        """What of a round is still to be visited.

        Args:
            number: of the round, from 1.
            visited: examples of it, in whole batches.
        """
        if self.recipe.steps is None:
            yield Stretch(number, self._permutation(number), visited, self.num_examples)
            return
        batch_size = self.recipe.batch_size
        length = self._batches * batch_size
        first = self.steps_before(number, visited) * batch_size
        end = self.steps_before(number) * batch_size + self.examples_in(number)
        while first < end:
            before = first // length
            start, stop = before * length, min((before + 1) * length, end)
            yield Stretch(
                before + 1, self._part(start, start + length), first - start, stop - start
            )
            first = stop

    @property
    def _batches(self) -> int:
        """In which all examples are once."""
        return -(-self.num_examples // self.recipe.batch_size)

    def _part(self, start: int, stop: int) -> Int64[Tensor, " examples"]:
        """Of all permutations, one after the other."""
        before = start // self.num_examples
        numbers = range(before + 1, -(-stop // self.num_examples) + 1)
        following = torch.cat([self._permutation(number) for number in numbers])
        skipped = before * self.num_examples
        return following[start - skipped : stop - skipped]

    def _permutation(self, number: int) -> Int64[Tensor, " examples"]:
        generator = stream(self.seed, "data order", number)
        return torch.randperm(self.num_examples, generator=generator)
