"""Multi-layer perceptrons."""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wider.errors import InputError

Activation = Literal["relu", "identity"]
Parametrization = Literal["standard", "ntk"]

ACTIVATIONS = {"relu": functional.relu, "identity": lambda features: features}


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
    """A multi-layer perceptron whose hidden layers all have the same width.

    Args:
        width: hidden units in each hidden layer.
        in_features: values in one input, that is channels x height x width of an image.
        num_classes: outputs.
        num_hidden_layers: hidden layers, named "hidden.0", "hidden.1", ...; the last layer is
            "output".
        activation: after each hidden layer; "identity" gives a linear net.
        bias: whether the layers have biases.
        parametrization: "standard", PyTorch's own, or "ntk".

    Raises:
        InputError: a size below 1, an unknown activation or parametrisation.

    Source:
        Golubeva et al. 2021, Section 2.4 (one hidden layer, MNIST).
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
        fan_ins = [in_features] + [width] * (num_hidden_layers - 1)
        self.hidden = nn.ModuleList(layer(fan_in, width, bias=bias) for fan_in in fan_ins)
        self.output = layer(width, num_classes, bias=bias)

    def forward(self, images: Float[Tensor, "batch *image"]) -> Float[Tensor, "batch classes"]:
        """Class scores (logits) of a batch of images or vectors."""
        features = images.flatten(1)
        for layer in self.hidden:
            features = self.activation(layer(features))
        return self.output(features)


def _choice(argument, value, choices):
    if value not in choices:
        known = " or ".join(map(repr, choices))
        raise InputError(f"unknown {argument} {value!r}; use {known}")
    return choices[value]
