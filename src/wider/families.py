"""A family: one architecture, one budget of weights, and its members of every width."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn

from wider.bottleneck import Narrowable, factorise, factorised_weights, narrow, ranks
from wider.errors import InputError
from wider.randomness import default_generator_from
from wider.sparsity import (
    Allocation,
    BudgetWarning,
    Pattern,
    UncountedWarning,
    count_weights,
    exclude,
    matrices,
    num_embedded,
    sparsify,
    uncounted,
)

__all__ = ["Family"]

MOST_NAMES = 4  # in a message


class Family:
    """One architecture with the number of weights of its narrowest, dense member.

    Args:
        architecture: any callable width -> nn.Module.
        base_width: the width of the baseline, which sets the budget.
        exclude: patterns of names of what is left dense and not counted; see `wider.exclude`.
        keywords: passed on to the architecture.

    Raises:
        InputError: base_width is below 1.

    Example:
        >>> family = Family(wider.models.MLP, base_width=5, in_features=784, num_classes=10)
        >>> family.num_weights, wider.count_weights(family.sparse(width=80, seed=0))
        (3970, 3970)
    """

    def __init__(
        self,
        architecture: Callable[..., nn.Module],
        *,
        base_width: int,
        exclude: Sequence[str] = (),
        **keywords: Any,
    ) -> None:
        if base_width < 1:
            raise InputError(f"base_width is {base_width}; it must be at least 1")
        self.architecture = architecture
        self.base_width = base_width
        self.exclude = tuple(exclude)
        self.keywords = keywords
        self._has_warned = False

    @cached_property
    def num_weights(self) -> int:
        """The budget: the number of weights of the dense net of width `base_width`.

        For linear bottlenecks it is the effective number, that of the net before the substitution.
        """
        return count_weights(self.dense(self.base_width))

    @cached_property
    def num_explicit_weights(self) -> int:
        """The budget of linear bottlenecks: the weights of the baseline with all of them in place.

        Each layer of m x n weights has r (m + n) then, r = min(m, n).
        """
        shapes = self._baseline_shapes
        return factorised_weights(shapes, ranks(shapes, shapes))

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
        self._check_width(width)
        return self._built(width, seed)

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
            self._wider(width, seed),
            num_weights=self.num_weights,
            allocation=allocation,
            pattern=pattern,
            seed=seed,
        )

    def linear_bottleneck(self, width: int, *, seed: int = 0) -> nn.Module:
        """A wider net in which two layers of few channels between them stand for each one.

        Every layer's weight W becomes W2 W1 with nothing between; see `wider.bottleneck.factorise`.
        At `base_width` the channels between are as many as the smaller side of W, so nothing is
        lost. At larger widths they are so few that the layer has as many weights as there; see
        `wider.bottleneck.ranks`. Both parts start as PyTorch's default for their own fan-in.

        Args:
            width: at least `base_width`.
            seed: of the initial weights: each part's are a stream of its own.

        Returns:
            A freshly initialised net of at most `num_explicit_weights` weights, which stand for
            `num_weights` effective ones.

        Raises:
            InputError: a layer would get less than one channel at this width, or cannot be
                factorised.

        Warns:
            BudgetWarning: whole channels miss the budget; no single one more would fit.

        Source:
            Golubeva et al. 2021, Section 2.2.
        """
        net = self._wider(width, seed)
        _refuse_unfactorisable(net)
        with _at_width(width):
            channels = ranks(self._baseline_shapes, _shapes(net))
        net = factorise(net, channels, seed=seed)
        _check_budget(net, self.num_explicit_weights, "linear")
        return net

    def nonlinear_bottleneck(self, width: int, *, seed: int = 0) -> nn.Module:
        """A wider net every second layer of which is narrower.

        Which ones is the architecture's business; see `wider.bottleneck.Narrowable`, and
        `wider.bottleneck.narrow` for how narrow.

        Args:
            width: at least `base_width`.
            seed: of the initial weights.

        Returns:
            A freshly initialised net of at most `num_weights` weights.

        Raises:
            InputError: the architecture has no layers that can be narrowed, or one would get less
                than one channel at this width.

        Warns:
            BudgetWarning: whole channels miss the budget; no single one more would fit.

        Source:
            Golubeva et al. 2021, Section 2.3.
        """
        self._check_width(width)
        usual = self._narrowed_widths(width)
        with _at_width(width):
            narrowed = narrow(
                usual, self.num_weights, count=lambda narrowed: self._count(width, narrowed)
            )
        net = self._built(width, seed, narrowed=narrowed)
        self._refuse_growth(net, width)
        _check_budget(net, self.num_weights, "non-linear")
        return net

    @cached_property
    def _beside_the_budget(self) -> tuple[dict[str, int], int]:
        """What the baseline has in tensors that no rule covers, and in embeddings."""
        baseline = self.dense(self.base_width)
        return uncounted(baseline), num_embedded(baseline)

    @cached_property
    def _baseline_shapes(self) -> dict[str, tuple[int, ...]]:
        return _shapes(self.dense(self.base_width))

    def _check_width(self, width: int) -> None:
        if width < self.base_width:
            raise InputError(
                f"width {width} is below the family's base width {self.base_width}: a net that "
                "narrow cannot hold the budget; use a larger width or a smaller base_width"
            )

    def _built(self, width: int, seed: int, **keywords: Any) -> nn.Module:
        with default_generator_from(seed, "initial weights"):
            net = self.architecture(width, **{**self.keywords, **keywords})
        exclude(net, self.exclude)
        return net

    def _wider(self, width: int, seed: int) -> nn.Module:
        """The dense net that a wider member starts from, of which nothing grows uncounted."""
        net = self.dense(width, seed=seed)
        self._refuse_growth(net, width)
        return net

    def _refuse_growth(self, net: nn.Module, width: int) -> None:
        if width == self.base_width:
            return
        bare, embedded = self._beside_the_budget
        grown = [name for name, size in uncounted(net).items() if size > bare.get(name, 0)]
        if grown:
            raise InputError(
                f"at width {width}, {', '.join(map(repr, grown))} hold more than at the base width "
                f"{self.base_width}, and no rule says that they are weights, so the budget would "
                "not be constant: leave them out by name with exclude, or register what they are "
                "with wider.sparsity.register"
            )
        if num_embedded(net) > embedded and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"embeddings are not counted, and they grow with the width: "
                f"{embedded:,} entries at the base width {self.base_width}, "
                f"{num_embedded(net):,} at width {width}",
                UncountedWarning,
                stacklevel=4,
            )

    def _narrowed_widths(self, width: int) -> tuple[int, ...]:
        usual = ()
        if isinstance(self.architecture, Narrowable):
            usual = self.architecture.narrowed_widths(width, **self.keywords)
        if not usual:
            name = getattr(self.architecture, "__name__", repr(self.architecture))
            raise InputError(
                f"{name} exposes no layers that a non-linear bottleneck could narrow: use "
                "wider.models.ResNet18, wider.models.MLP with num_hidden_layers of 2 or more, or "
                "an architecture with `narrowed_widths` (see wider.bottleneck.Narrowable)"
            )
        return usual

    def _count(self, width: int, narrowed: Sequence[int]) -> int:
        # Without memory for the weights: this is asked a few dozen times for nets of any size.
        with torch.device("meta"):
            return count_weights(self._built(width, seed=0, narrowed=narrowed))


def _refuse_unfactorisable(net: nn.Module) -> None:
    # Parts of packed and stacked tensors are no layers that two others could stand for.
    if others := [name for name, matrix in matrices(net).items() if matrix.piece.suffix]:
        shown = ", ".join(map(repr, others[:MOST_NAMES]))
        more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
        raise InputError(
            f"{shown}{more} have no linear bottleneck: leave them out by name "
            "with exclude, or widen by static sparsity"
        )


def _shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: matrix.shape for name, matrix in matrices(net).items()}


@contextmanager
def _at_width(width: int) -> Iterator[None]:
    """Bad input that the width is to blame for says so."""
    try:
        yield
    except InputError as error:
        raise InputError(f"at width {width}, {error}") from error


def _check_budget(net: nn.Module, num_weights: int, kind: str) -> None:
    count = count_weights(net)
    if count > num_weights:
        raise AssertionError(f"{kind} bottlenecks have {count} weights, the budget {num_weights}")
    if count < num_weights:
        warnings.warn(
            f"{kind} bottlenecks have whole channels: {count:,} weights instead of "
            f"{num_weights:,} ({count - num_weights:+,})",
            BudgetWarning,
            stacklevel=3,
        )
