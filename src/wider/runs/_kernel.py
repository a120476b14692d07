"""How far a net's kernel is from its infinitely wide limit, before it is trained."""

from typing import Any, cast

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from wider.data import InMemoryData, TrainingData
from wider.errors import InputError
from wider.models import MLP, NTKLinear
from wider.randomness import stream
from wider.sparsity import connectivity
from wider.theory import kernel_distance, relu_kernel

# Masks by which the expected distance is estimated; with the pairs they differ from seed to seed,
# so the mean over seeds is of many more.
NUM_MASKS = 512


class MeasuredDistances(BaseModel):
    """Mean squared distances of Gaussian-process kernels from the infinitely wide dense net's.

    Attributes:
        pairs: of test images, over which the others are means.
        initial: of the kernel that this very net has before training; None where it has biases or
            PyTorch's own parametrisation, by which kernels are not of the same scale.
        expected: over all masks and weights of nets of this width and these connectivities, the
            last layer's mask included.
        theorem_1: the same, with the last layer integrated out as if it were dense.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: int
    initial: float | None
    expected: float
    theorem_1: float

    @model_validator(mode="before")
    @classmethod
    def _without_the_old_closed_form(cls, fields: Any) -> Any:
        """Results of before November 2026 have a formula of ours in it that bore the paper's name.

        Equation (6) follows from sizes, and is computed where it is shown.
        """
        if isinstance(fields, dict):
            return {name: value for name, value in fields.items() if name != "closed_form"}
        return fields


def kernel_distances(
    model: nn.Module, data: TrainingData, *, num_pairs: int, seed: int
) -> MeasuredDistances:
    """Measures and predicts the distance of a net's kernel over random pairs of test images.

    Args:
        model: a ReLU MLP with one hidden layer, untrained, on the CPU.
        data: with test images in memory, on any device.
        num_pairs: of them.
        seed: of the pairs and, in a stream of their own, of the masks.

    Raises:
        InputError: the images are not in memory.

    Source:
        Golubeva et al. 2021, Section 3, Theorem 1 and Figure 7.
    """
    assert isinstance(model, MLP)
    if not isinstance(data, InMemoryData):
        raise InputError(
            f"kernel_pairs is {num_pairs}, but these images are large and stay on disk, and "
            "kernels are compared for those in memory: leave kernel_pairs out"
        )
    # On the CPU, where the untrained model still is.
    x, y = (part.cpu() for part in random_pairs(data.part("test")[0].flatten(1), num_pairs, seed))
    kept = connectivity(model)  # without layers that are excluded, which are dense
    last = kept.get("output", 1.0)
    hidden = cast(nn.Linear, model.hidden[0])
    net = {"width": hidden.out_features, "connectivity": kept.get("hidden.0", 1.0)}
    masks = {"num_masks": NUM_MASKS, "seed": seed}
    x, y = x.double(), y.double()
    expected = kernel_distance(x, y, output_connectivity=last, **net, **masks)
    as_printed = expected
    if last < 1:
        as_printed = kernel_distance(x, y, **net, **masks)
    return MeasuredDistances(
        pairs=num_pairs,
        initial=_measured(hidden, x, y),
        expected=float(expected.distances.mean()),
        theorem_1=float(as_printed.distances.mean()),
    )


def _measured(hidden: nn.Linear, x: Tensor, y: Tensor) -> float | None:
    if not isinstance(hidden, NTKLinear) or hidden.bias is not None:
        return None
    with torch.no_grad():
        features = [hidden(images.float()).relu().double() for images in (x, y)]
    own = (features[0] * features[1]).mean(1)
    return float((own - relu_kernel(x, y).diagonal()).square().mean())


def random_pairs(images: Tensor, num_pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs of two different images each.

    Args:
        images: to choose from.
        num_pairs: of them.
        seed: that draws them.
    """
    generator = stream(seed, "kernel pairs")
    first = torch.randint(len(images), (num_pairs,), generator=generator)
    step = torch.randint(1, len(images), (num_pairs,), generator=generator)
    second = (first + step) % len(images)
    return images[first.to(images.device)], images[second.to(images.device)]
