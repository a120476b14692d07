"""Changes of scaled inputs in memory, by name, fitted on the training examples that are used."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from wider.data._training_data import Part
from wider.errors import InputError
from wider.fields import Seed
from wider.own_code import find_own
from wider.randomness import stream
from wider.registry import Described, SpecRegistry
from wider.tasks import Task

Inputs = Float32[Tensor, "examples *shape"]
Change = Callable[[Inputs, Part], Inputs]
"""Of the inputs of a part, what they become; none of them is changed in place."""

MOST_FEATURES = 1_000_000  # of noise
CHUNK = 4096  # examples that are widened to 64 bits at a time


class TransformationSpec(Described, ABC):
    """A change of all inputs, fitted on those of training.

    Attributes:
        keeps_black: whether what was black in an image is of one colour afterwards.
    """

    keeps_black: ClassVar[bool] = False

    @abstractmethod
    def fit(self, train_inputs: Inputs) -> Change:
        """What is done to the inputs of each part.

        Args:
            train_inputs: those that are used, scaled.
        """

    def task(self, task: Task) -> Task:
        """What nets take and give afterwards, from what they did before."""
        return task


@dataclass(frozen=True)
class OwnTransformation(TransformationSpec):
    """A user's own `module:name`: a function of the training inputs that returns one of inputs.

    The inputs keep their shape.
    """

    name: str
    options: Mapping[str, Any] = field(hash=False)

    def fit(self, train_inputs: Inputs) -> Change:
        """See `TransformationSpec`."""
        change = find_own(self.name)(train_inputs, **self.options)

        def checked(inputs: Inputs, _: Part) -> Inputs:
            changed = change(inputs)
            if changed.shape != inputs.shape or changed.dtype != inputs.dtype:
                raise InputError(
                    f"the transformation {self.name!r} made {changed.dtype} of shape "
                    f"{tuple(changed.shape)} of {inputs.dtype} of shape {tuple(inputs.shape)}: "
                    "inputs keep their shape and type"
                )
            return changed

        return checked


TRANSFORMATIONS: SpecRegistry[TransformationSpec] = SpecRegistry(
    "transformation", group="wider.transformations", own=OwnTransformation
)


@TRANSFORMATIONS.register("whiten")
@dataclass(frozen=True)
class Whiten(TransformationSpec):
    """Brings the features' covariance over the training examples to the identity.

    pca: by the principal components, that of the largest variance first; zca: turned back
    afterwards, so that images still look like images. Each component is divided by the root of its
    variance and epsilon.
    """

    kind: Literal["pca", "zca"] = "zca"
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.kind not in ("pca", "zca"):
            raise InputError(f"kind is {self.kind!r}: use 'pca' or 'zca'")
        if not 0 <= self.epsilon < math.inf:
            raise InputError(f"epsilon is {self.epsilon}: use 0 or more")

    def fit(self, train_inputs: Inputs) -> Change:
        """See `TransformationSpec`."""
        mean, covariance = _moments(train_inputs.flatten(1))
        variances, components = torch.linalg.eigh(covariance)
        variances, components = variances.flip(0).clamp(min=0), _signed(components.flip(1))
        # What is less is rounding; without epsilon it would become most of what nets see.
        rounding = variances[0] * len(variances) * torch.finfo(torch.float32).eps ** 2
        if self.epsilon == 0 and variances[-1] <= rounding:
            raise InputError(
                f"whiten with epsilon {self.epsilon} divides by 0: of {len(variances)} features "
                f"some depend on others over the {len(train_inputs)} training examples; use an "
                "epsilon above 0, such as 1e-5"
            )
        matrix = components / (variances + self.epsilon).sqrt()
        if self.kind == "zca":
            matrix = matrix @ components.T
        return lambda inputs, _: _times(inputs, matrix, mean)


@TRANSFORMATIONS.register("rotate")
@dataclass(frozen=True)
class Rotate(TransformationSpec):
    """Turns the space of all features by a random orthogonal matrix."""

    seed: Seed = 0

    def fit(self, train_inputs: Inputs) -> Change:
        """See `TransformationSpec`."""
        size = train_inputs[0].numel()
        numbers = torch.randn(
            size, size, dtype=torch.float64, generator=stream(self.seed, "rotation")
        )
        matrix, triangle = torch.linalg.qr(numbers)
        # Uniform over all orthogonal matrices (Mezzadri 2007), whatever signs the library chooses.
        matrix = matrix * triangle.diagonal().sign()
        mean = torch.zeros(size, dtype=torch.float64)
        return lambda inputs, _: _times(inputs, matrix, mean)


@TRANSFORMATIONS.register("permute")
@dataclass(frozen=True)
class Permute(TransformationSpec):
    """Exchanges the features, or of images the pixels with all their colours, in a fixed way."""

    keeps_black: ClassVar[bool] = True

    seed: Seed = 0

    def fit(self, train_inputs: Inputs) -> Change:
        """See `TransformationSpec`."""
        first = 2 if train_inputs.dim() == 4 else 1
        places = train_inputs[0].numel() if first == 1 else train_inputs[0, 0].numel()
        order = torch.randperm(places, generator=stream(self.seed, "permutation"))
        return lambda inputs, _: inputs.flatten(first)[..., order].view(inputs.shape)


@TRANSFORMATIONS.register("noise-features")
@dataclass(frozen=True)
class NoiseFeatures(TransformationSpec):
    """Adds features that say nothing: standard normal noise, of its own in each example."""

    count: int = 1
    seed: Seed = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_FEATURES:
            raise InputError(f"count is {self.count}: use 1 to {MOST_FEATURES:,} features")

    def fit(self, train_inputs: Inputs) -> Change:  # noqa: ARG002
        """See `TransformationSpec`."""

        def with_noise(inputs: Inputs, part: Part) -> Inputs:
            generator = stream(self.seed, "noise features", part)
            noise = torch.randn(len(inputs), self.count, generator=generator)
            return torch.cat([inputs.flatten(1), noise], dim=1)

        return with_noise

    def task(self, task: Task) -> Task:
        """See `TransformationSpec`."""
        return replace(task, input="features", shape=(task.numbers_in + self.count,))


def transformed(
    parts: Mapping[Part, Inputs], transformations: Sequence[TransformationSpec]
) -> dict[Part, Inputs]:
    """Inputs of all parts after some transformations, one after the other.

    Args:
        parts: by name; "train" is what each is fitted on.
        transformations: in order.
    """
    changed: dict[Part, Inputs] = dict(parts)
    for transformation in transformations:
        change = transformation.fit(changed["train"])
        changed = {part: change(inputs, part) for part, inputs in changed.items()}
    return changed


def transformed_task(task: Task, transformations: Sequence[TransformationSpec]) -> Task:
    """What nets take and give after some transformations."""
    return reduce(lambda before, transformation: transformation.task(before), transformations, task)


def _moments(
    rows: Float32[Tensor, "examples features"],
) -> tuple[Float64[Tensor, " features"], Float64[Tensor, "features features"]]:
    """The mean and the covariance of features."""
    chunks, nothing = rows.split(CHUNK), torch.zeros((), dtype=torch.float64)
    mean = sum((chunk.double().sum(0) for chunk in chunks), nothing) / len(rows)
    parts = (chunk.double() - mean for chunk in chunks)
    squares = sum((part.T @ part for part in parts), nothing)
    return mean, squares / len(rows)


def _times(
    inputs: Inputs,
    matrix: Float64[Tensor, "features features"],
    mean: Float64[Tensor, " features"],
) -> Inputs:
    chunks = inputs.flatten(1).split(CHUNK)
    return torch.cat([((chunk.double() - mean) @ matrix).float() for chunk in chunks]).view_as(
        inputs
    )


def _signed(components: Float64[Tensor, "features features"]) -> Float64[Tensor, "..."]:
    """With the largest entry of each column positive; libraries leave the sign open."""
    largest = components.abs().argmax(dim=0, keepdim=True)
    return components * components.gather(0, largest).sign()
