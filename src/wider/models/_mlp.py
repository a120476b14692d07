"""Multi-layer perceptrons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wider.bottleneck import checked_narrowed
from wider.columns import Column, Role
from wider.errors import InputError
from wider.families import Family
from wider.models._spec import MODELS, ModelSpec
from wider.registry import bounded
from wider.tasks import Task

Activation = Literal["relu", "identity"]
Parametrization = Literal["standard", "ntk"]

ACTIVATIONS = {"relu": functional.relu, "identity": lambda features: features}
ACTIVATION_NAMES: dict[Activation, str] = {"relu": "ReLU", "identity": "linear"}
"""{activation: what people read}; a spec has the key, and so do the tables of runs in files."""


class NTKLinear(nn.Linear):
    """A linear layer in NTK parametrisation: y = W x / sqrt(in_features) + b, all N(0, 1).

    Source:
        Jacot et al. 2018; Golubeva et al. 2021, Section 3.
    """

    def reset_parameters(self) -> None:
        """Draws weights and biases from N(0, 1)."""
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.normal_(self.bias)

    def forward(self, input: Float[Tensor, "... in"]) -> Float[Tensor, "... out"]:  # noqa: A002
        """The layer's outputs."""
        # The batch is scaled rather than the weights: it is the smaller of the two in a wide net.
        return functional.linear(input / math.sqrt(self.in_features), self.weight, self.bias)


LAYERS: dict[str, type[nn.Linear]] = {"standard": nn.Linear, "ntk": NTKLinear}


class MLP(nn.Module):
    """A multi-layer perceptron whose hidden layers all have the same width, unless narrowed.

    Layers are taken in pairs, the first with the second and so on. The non-linear bottleneck
    narrows what lies between the two of a pair, the hidden layers 1, 3, 5, ... ("hidden.0",
    "hidden.2", ...), while 2, 4, 6, ... have the width. So the first layer, whose inputs are the
    image's and stay as many, does not grow with the width.

    Args:
        width: hidden units in each hidden layer.
        in_features: values in one input, that is channels x height x width of an image.
        num_classes: outputs.
        num_hidden_layers: hidden layers, named "hidden.0", "hidden.1", ...; the last layer is
            "output".
        activation: after each hidden layer; "identity" gives a linear net.
        bias: whether the layers have biases.
        parametrization: "standard", PyTorch's own, or "ntk".
        batch_norm: whether BatchNorm follows the activation of each hidden layer, named "norms.0",
            "norms.1", ...; its parameters are no weights.
        narrowed: the widths of the narrowed hidden layers; None for `width`. See `narrowed_widths`.

    Raises:
        InputError: a size below 1, an unknown activation or parametrisation, or another number of
            narrowed widths than the net has narrowed layers.

    Source:
        Golubeva et al. 2021, Section 2.3 (one hidden layer, MNIST) and 2.2 (narrowed layers).
    """

    def __init__(
        self,
        width: int,
        in_features: int = 784,
        num_classes: int = 10,
        *,
        num_hidden_layers: int = 1,
        activation: Activation = "relu",
        bias: bool = True,
        parametrization: Parametrization = "standard",
        batch_norm: bool = False,
        narrowed: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "width": width,
            "in_features": in_features,
            "num_classes": num_classes,
            "num_hidden_layers": num_hidden_layers,
        }
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} is {size}; an MLP needs at least 1")
        self.activation = _choice("activation", activation, ACTIVATIONS)
        self.activation_name = activation
        layer = _choice("parametrization", parametrization, LAYERS)
        usual = self.narrowed_widths(width, num_hidden_layers=num_hidden_layers)
        widths = [width] * num_hidden_layers
        widths[: 2 * len(usual) : 2] = checked_narrowed(narrowed, usual, "MLP")
        fan_ins = [in_features, *widths[:-1]]
        self.hidden = nn.ModuleList(
            layer(fan_in, out, bias=bias) for fan_in, out in zip(fan_ins, widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(out) for out in widths if batch_norm)
        self.output = layer(widths[-1], num_classes, bias=bias)

    @staticmethod
    def narrowed_widths(
        width: int, *, num_hidden_layers: int = 1, **_keywords: Any
    ) -> tuple[int, ...]:
        """The usual widths of the hidden layers that a non-linear bottleneck narrows.

        Args:
            width: of the net.
            num_hidden_layers: as of the net, whose other keywords are accepted too.

        Returns:
            The width for each of the hidden layers 1, 3, 5, ...; nothing for a net of one hidden
            layer, in which there would be no layer left to widen.
        """
        return (width,) * ((num_hidden_layers + 1) // 2 if num_hidden_layers > 1 else 0)

    def forward(self, images: Float[Tensor, "batch *image"]) -> Float[Tensor, "batch classes"]:
        """Class scores (logits) of a batch of images or vectors."""
        features = images.flatten(1)
        for layer, norm in zip_longest(self.hidden, self.norms):
            features = self.activation(layer(features))
            if norm is not None:
                features = norm(features)
        return self.output(features)


@MODELS.register("mlp")
@dataclass(frozen=True)
class MLPSpec(ModelSpec):
    """An `MLP` apart from its width and its task; arguments as there."""

    num_hidden_layers: Annotated[int, Column(Role.FAMILY, "hidden_layers")] = bounded(1, 1, 10_000)
    """Hidden layers, all of the same width."""
    activation: Annotated[Activation, Column(Role.TRAINING)] = "relu"
    """After each hidden layer; "identity" gives a linear net."""
    bias: Annotated[bool, Column(Role.TRAINING)] = True
    """Whether the layers have biases."""
    parametrization: Annotated[Parametrization, Column(Role.TRAINING)] = "standard"
    """PyTorch's own, or that of the neural tangent kernel."""
    batch_norm: Annotated[bool, Column(Role.TRAINING)] = False
    """Whether BatchNorm follows the activation of each hidden layer."""

    same_uses = True

    def family(self, task: Task, *, base_width: int, exclude: Sequence[str] = ()) -> Family:
        """See `ModelSpec`."""
        sizes = task.sizes_for(("in_features", "num_outputs"), net="an MLP")
        return Family(
            MLP,
            base_width=base_width,
            exclude=exclude,
            in_features=sizes["in_features"],
            num_classes=sizes["num_outputs"],
            num_hidden_layers=self.num_hidden_layers,
            activation=self.activation,
            bias=self.bias,
            parametrization=self.parametrization,
            batch_norm=self.batch_norm,
        )

    @property
    def label(self) -> str:
        """See `ModelSpec`."""
        return f"{self.name} {ACTIVATION_NAMES[self.activation]}"

    @property
    def title(self) -> str:
        """See `ModelSpec`."""
        layers = self.num_hidden_layers
        return f"MLP with {layers} hidden layer{'s' if layers > 1 else ''}"


def _choice(argument, value, choices):
    if value not in choices:
        known = " or ".join(map(repr, choices))
        raise InputError(f"unknown {argument} {value!r}; use {known}")
    return choices[value]
