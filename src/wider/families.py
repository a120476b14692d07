"""A family: one architecture, one budget of weights, and its members of every width."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from torch import nn

from wider.errors import InputError
from wider.randomness import default_generator_from
from wider.sparsity import Allocation, Pattern, count_weights, sparsify

__all__ = ["Family"]


class Family:
    """One architecture with the number of weights of its narrowest, dense member.

    Args:
        architecture: any callable width -> nn.Module.
        base_width: the width of the baseline, which sets the budget.
        keywords: passed on to the architecture.

    Raises:
        InputError: base_width is below 1.

    Example:
        >>> family = Family(wider.models.MLP, base_width=5, in_features=784, num_classes=10)
        >>> family.num_weights, wider.count_weights(family.sparse(width=80, seed=0))
        (3970, 3970)
    """

    def __init__(
        self, architecture: Callable[..., nn.Module], *, base_width: int, **keywords: Any
    ) -> None:
        if base_width < 1:
            raise InputError(f"base_width is {base_width}; it must be at least 1")
        self.architecture = architecture
        self.base_width = base_width
        self.keywords = keywords

    @cached_property
    def num_weights(self) -> int:
        """The budget: the number of weights of the dense net of width `base_width`."""
        return count_weights(self.dense(self.base_width))

    def dense(self, width: int, *, seed: int = 0) -> nn.Module:
        """The control: a dense net, whose number of weights grows with its width.

        Args:
            width: at least `base_width`.
            seed: of the initial weights.

        Returns:
            A freshly initialised net.

        Raises:
            InputError: width is below `base_width`.
        """
        if width < self.base_width:
            raise InputError(
                f"width {width} is below the family's base width {self.base_width}: a net that "
                "narrow cannot hold the budget; use a larger width or a smaller base_width"
            )
        with default_generator_from(seed, "initial weights"):
            return self.architecture(width, **self.keywords)

    def sparse(
        self,
        width: int,
        *,
        seed: int = 0,
        allocation: Allocation = "level",
        pattern: Pattern = "uniform",
    ) -> nn.Module:
        """A wider net with the budget's number of weights, at random fixed places.

        Args:
            width: at least `base_width`.
            seed: of the initial weights and, in a stream of their own, of the masks.
            allocation: how many weights each layer keeps; see `wider.sparsity.allocate`.
            pattern: which ones; see `wider.sparsity.draw_mask`.

        Returns:
            A freshly initialised net with exactly `num_weights` weights (pattern "io" can miss it
            and then says by how much).

        Raises:
            InputError: the width or the allocation is not feasible at this budget.

        Source:
            Golubeva et al. 2021, Section 2.1.
        """
        return sparsify(
            self.dense(width, seed=seed),
            num_weights=self.num_weights,
            allocation=allocation,
            pattern=pattern,
            seed=seed,
        )
