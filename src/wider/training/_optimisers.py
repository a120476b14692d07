"""How a gradient becomes a step."""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from wider.errors import InputError
from wider.own_code import find_own
from wider.registry import Described, SpecRegistry

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]

Groups = Sequence[dict[str, Any]]


class OptimiserSpec(Described):
    """An optimiser with its options.

    Attributes:
        is_elementwise: whether each entry of a parameter moves by its own gradients alone, whatever
            the other entries are. Then it may be given the kept weights and nothing else.
    """

    is_elementwise: ClassVar[bool]

    @property
    @abstractmethod
    def learning_rate(self) -> float | None:
        """Before schedule and layer rates; None where they cannot change it."""

    @abstractmethod
    def make(self, groups: Groups, *, fused: bool = False) -> torch.optim.Optimizer:
        """The optimiser of a net.

        Args:
            groups: of parameters, each `{"params": [...]}`.
            fused: whether it is to change all parameters in one kernel, where it can.
        """


@dataclass(frozen=True)
class OwnOptimiser(OptimiserSpec):
    """A class of `torch.optim.Optimizer`, or a function that returns one, of a user's own.

    It is called with groups of parameters and the options, of which "lr" is the learning rate.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    is_elementwise = False  # nothing says so

    @property
    def learning_rate(self) -> float | None:
        """The option "lr"."""
        return self.options.get("lr")

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
            raise InputError(f"lr of the optimiser {self.name!r} is {rate!r}: use a number")

    def make(self, groups: Groups, *, fused: bool = False) -> torch.optim.Optimizer:  # noqa: ARG002
        """See `OptimiserSpec`; it is made as it is, fused or not."""
        try:
            made = find_own(self.name)(list(groups), **self.options)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the optimiser {self.name!r} cannot be made of groups of parameters and the "
                f"options {self.options}: {error}"
            ) from error
        if not isinstance(made, torch.optim.Optimizer):
            raise InputError(
                f"the optimiser {self.name!r} is {type(made).__name__}: use a torch.optim.Optimizer"
                " class, or a function that returns one"
            )
        if _parameters(made.param_groups) != _parameters(groups):
            raise InputError(
                f"the optimiser {self.name!r} does not train all parameters that it is given: "
                "freeze in the model what is to stay as it is"
            )
        closure = inspect.signature(made.step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise InputError(
                f"the optimiser {self.name!r} computes the loss several times a step (its step "
                "needs a closure): use one that takes the gradients as they are"
            )
        return made


OPTIMISERS: SpecRegistry[OptimiserSpec] = SpecRegistry(
    "optimiser", group="wider.optimisers", own=OwnOptimiser
)


@OPTIMISERS.register("sgd")
@dataclass(frozen=True)
class SGD(OptimiserSpec):
    """Stochastic gradient descent, with or without momentum.

    Args:
        learning_rate: step size.
        momentum: of the gradient.
        weight_decay: L2 penalty, on weights and biases alike.
    """

    learning_rate: Positive = 0.1  # pyright: ignore[reportIncompatibleMethodOverride]
    momentum: BelowOne = 0.0
    weight_decay: NotNegative = 0.0

    is_elementwise = True

    def __post_init__(self) -> None:
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        _check("momentum", self.momentum, 0 <= self.momentum < 1, "at least 0 and below 1")
        _check("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")

    def make(self, groups: Groups, *, fused: bool = False) -> torch.optim.Optimizer:
        """See `OptimiserSpec`."""
        return torch.optim.SGD(
            groups,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=fused or None,
        )


@OPTIMISERS.register("adamw")
@dataclass(frozen=True)
class AdamW(OptimiserSpec):
    """Adam, whose weight decay is apart from the gradient.

    Args:
        learning_rate: step size.
        betas: how much is kept of the mean of the gradient, and of its square, in a step.
        epsilon: added to the root of the latter.
        weight_decay: times the learning rate, the share of each parameter that a step takes away.
    """

    learning_rate: Positive = 1e-3  # pyright: ignore[reportIncompatibleMethodOverride]
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    epsilon: Positive = 1e-8
    weight_decay: NotNegative = 0.01

    is_elementwise = True

    def __post_init__(self) -> None:
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        inside = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("betas", self.betas, inside, "two numbers of at least 0 and below 1")
        _check("epsilon", self.epsilon, self.epsilon > 0, "more than 0")
        _check("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")

    def make(self, groups: Groups, *, fused: bool = False) -> torch.optim.Optimizer:
        """See `OptimiserSpec`."""
        return torch.optim.AdamW(
            groups,
            lr=self.learning_rate,
            betas=self.betas,
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=fused or None,
        )


def _parameters(groups: Groups) -> set[int]:
    return {id(parameter) for group in groups for parameter in group["params"]}


def _check(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise InputError(f"{name} is {value!r}: use {allowed}")
