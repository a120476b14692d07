"""What is drawn without training: the weights that the layers of a net would keep."""

import math

import altair as alt
import pandas as pd
from torch import nn

from wider.sparsity import allocate, weight_layers

LAYER_TOOLTIP = [
    alt.Tooltip("layer:N"),
    alt.Tooltip("weights_stored:Q", title="weights stored", format=",d"),
    alt.Tooltip("weights_kept:Q", title="weights kept", format=",d"),
    alt.Tooltip("connectivity:Q", format=".3g"),
]


def level_allocation(net: nn.Module, num_weights: int) -> pd.DataFrame:
    """How level allocation divides a budget among the layers of a net.

    Args:
        net: any net; only its shapes are read, so it can be on the meta device.
        num_weights: the budget.

    Returns:
        One row per layer, in the order of the module: its name in "layer", "weights_stored",
        "weights_kept" and "connectivity".

    Raises:
        InputError: the net cannot have that many weights.
    """
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    table = pd.DataFrame(
        {
            "layer": list(shapes),
            "weights_stored": [math.prod(shape) for shape in shapes.values()],
            "weights_kept": list(allocate(shapes, num_weights, "level").values()),
        }
    )
    table["connectivity"] = table["weights_kept"] / table["weights_stored"]
    return table


def equal_shares(kept: pd.Series) -> str:
    """The weights kept by layers that share equally, such as "395 or 396"."""
    return " or ".join(f"{count:,}" for count in sorted(kept.unique()))
