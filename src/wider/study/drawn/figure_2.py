"""Figure 2: three ways to widen a net at the same number of weights, weight by weight."""

import itertools
from dataclasses import dataclass
from functools import partial

import altair as alt
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wider.bottleneck import LinearBottleneck
from wider.charts import BLUE, ORANGE, PAPER, finish
from wider.drawing import Drawing, layered, together
from wider.families import Family
from wider.models import MLP
from wider.randomness import stream
from wider.sparsity import WeightLayer, count_weights, mask_of, weight_layers
from wider.study._experiment import Experiment, Picture, Scale

# Sizes at which whole channels meet the budget exactly in both bottlenecks, which few do.
BASE_WIDTH, WIDTH, NUM_FEATURES, NUM_CLASSES = 6, 15, 12, 6

CELL = 10  # pixels; all other lengths are in cells
BETWEEN, BESIDE_STRIPE, STRIPE = 1.0, 2.0, 0.8
ABOVE, BELOW = 2.0, 3.5
TOOLTIP = [alt.Tooltip(name) for name in ("layer:N", "output:Q", "input:Q", "state:N")]


@dataclass(frozen=True)
class Matrix:
    """One weight matrix of a net, as it is drawn.

    Attributes:
        layer: its name.
        kept: which of its entries are weights.
        relu_follows: whether its outputs go through a ReLU.
    """

    layer: str
    kept: Bool[Tensor, "outputs inputs"]
    relu_follows: bool


def family() -> Family:
    """The family whose members are drawn: an MLP of two hidden layers."""
    return Family(
        MLP,
        base_width=BASE_WIDTH,
        in_features=NUM_FEATURES,
        num_classes=NUM_CLASSES,
        num_hidden_layers=2,
    )


def members() -> dict[tuple[str, int], nn.Module]:
    """The nets that are drawn, by name and width, the baseline first.

    The linear bottleneck is there at both widths: its number of weights is another one.
    """
    nets = family()
    return {
        ("baseline", BASE_WIDTH): nets.dense(BASE_WIDTH),
        ("linear bottleneck", BASE_WIDTH): nets.linear_bottleneck(BASE_WIDTH),
        ("linear bottleneck", WIDTH): nets.linear_bottleneck(WIDTH),
        ("non-linear bottleneck", WIDTH): nets.nonlinear_bottleneck(WIDTH),
        ("sparse", WIDTH): nets.sparse(WIDTH),
    }


def matrices(net: nn.Module) -> list[Matrix]:
    """The weight matrices of a chain of linear layers, in the order in which they are used.

    Where a ReLU is, is seen from what the layers are given when the net runs.

    Args:
        net: whose inputs have `NUM_FEATURES` values.
    """
    layers = weight_layers(net)
    calls: list[tuple[str, Tensor, Tensor]] = []

    def note(name: str, _layer: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> None:
        calls.append((name, inputs[0], outputs))

    handles = [layer.register_forward_hook(partial(note, name)) for name, layer in layers.items()]
    # So many images that every unit is negative on some of them, where a ReLU would show.
    images = torch.randn(256, NUM_FEATURES, generator=stream(0, "figure-2", "images"))
    with torch.no_grad():
        scores = net(images)
    for handle in handles:
        handle.remove()
    passed_on = [inputs for _name, inputs, _outputs in calls[1:]] + [scores]
    return [
        Matrix(name, _kept(layers[name]), _is_rectified(outputs, given))
        for (name, _inputs, outputs), given in zip(calls, passed_on, strict=True)
    ]


def _kept(layer: WeightLayer) -> Bool[Tensor, "outputs inputs"]:
    mask = mask_of(layer)
    return torch.ones_like(layer.weight, dtype=torch.bool) if mask is None else mask


def _is_rectified(
    before: Float[Tensor, "batch units"], after: Float[Tensor, "batch units"]
) -> bool:
    return torch.equal(after, before.relu()) and not torch.equal(after, before)


def summarise(_table: pd.DataFrame) -> pd.DataFrame:
    """One row per net and weight matrix; reads no runs."""
    return pd.DataFrame(
        [
            {
                "net": name,
                "width": width,
                "layer": matrix.layer,
                "outputs": matrix.kept.shape[0],
                "inputs": matrix.kept.shape[1],
                "weights_stored": matrix.kept.numel(),
                "weights_kept": int(matrix.kept.sum()),
                "relu_follows": matrix.relu_follows,
            }
            for (name, width), net in members().items()
            for matrix in matrices(net)
        ]
    )


def draw(_table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """A row per net, with a cell per weight."""
    nets = members()
    chains = [matrices(net) for net in nets.values()]
    length = max(_places(chain)[-1] for chain in chains)
    titles = [_title(name, width, net) for (name, width), net in nets.items()]
    panels = [_panel(chain, title, length) for chain, title in zip(chains, titles, strict=True)]
    chart = finish(
        together("vconcat", panels, spacing=16),
        f"Three ways from width {BASE_WIDTH} to {WIDTH} at the same number of weights",
        [
            f"MLP with {NUM_FEATURES} inputs, two hidden layers and {NUM_CLASSES} outputs, drawn "
            f"from left to right; {scale.label}",
            "A square per entry of a weight matrix: dark where kept, empty where removed; below it "
            "outputs x inputs, weights kept",
        ],
    )
    return [Picture("figure-2", chart, _caption(nets))]


def _title(name: str, width: int, net: nn.Module) -> str:
    title = f"{name.capitalize()}, width {width}: {count_weights(net)} weights"
    if any(isinstance(part, LinearBottleneck) for part in net.modules()):
        title += f", which stand for {family().num_weights} effective ones"
    return title


def _places(chain: list[Matrix]) -> list[float]:
    """Where each matrix begins, from left to right, and at last where the drawing ends."""
    lengths = [
        matrix.kept.shape[1] + (2 * BESIDE_STRIPE + STRIPE if matrix.relu_follows else BETWEEN)
        for matrix in chain
    ]
    return [0.0, *itertools.accumulate(lengths)]


def _panel(chain: list[Matrix], title: str, length: float) -> Drawing:
    tallest = max(matrix.kept.shape[0] for matrix in chain)
    cells, stripes, labels = [], [], []
    for matrix, left in zip(chain, _places(chain)[:-1], strict=True):
        outputs, inputs = matrix.kept.shape
        top = (tallest - outputs) / 2
        cells += _cells(matrix, left, top)
        text = f"{outputs} x {inputs}\n{int(matrix.kept.sum())} of {matrix.kept.numel()}"
        labels.append({"x": left + inputs / 2, "y": top + outputs + 0.5, "text": text})
        if matrix.relu_follows:
            start = left + inputs + BESIDE_STRIPE
            stripes.append({"x": start, "x2": start + STRIPE, "y": 0, "y2": tallest})
            labels.append({"x": start + STRIPE / 2, "y": -1.5, "text": "ReLU"})
    x = alt.X("x:Q", scale=alt.Scale(domain=[-1, length], nice=False), axis=None)
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[-ABOVE, tallest + BELOW], reverse=True, nice=False),
        axis=None,
    )
    x2, y2 = alt.X2("x2:Q"), alt.Y2("y2:Q")
    kept = "datum.state === 'kept'"
    squares = alt.Chart(pd.DataFrame(cells)).transform_calculate(x2="datum.x + 1", y2="datum.y + 1")
    return layered(
        # A thousand squares, each with a text for screen readers, would drown the caption.
        squares.mark_rect(strokeWidth=0.7, aria=False).encode(
            x=x,
            x2=x2,
            y=y,
            y2=y2,
            fill=alt.FillValue(PAPER, condition={"test": kept, "value": BLUE}),
            stroke=alt.StrokeValue("#d0d0d0", condition={"test": kept, "value": PAPER}),
            tooltip=TOOLTIP,
        ),
        alt.Chart(pd.DataFrame(stripes)).mark_rect(color=ORANGE).encode(x=x, x2=x2, y=y, y2=y2),
        alt.Chart(pd.DataFrame(labels))
        .mark_text(fontSize=11, baseline="top", lineBreak="\n")
        .encode(x=x, y=y, text=alt.Text("text:N")),
    ).properties(
        width=CELL * (length + 1),
        height=CELL * (ABOVE + tallest + BELOW),
        title=alt.TitleParams(title, anchor="start", fontSize=13, offset=4),
    )


def _cells(matrix: Matrix, left: float, top: float) -> list[dict[str, object]]:
    return [
        {
            "layer": matrix.layer,
            "output": output,
            "input": number,
            "state": "kept" if kept else "removed",
            "x": left + number,
            "y": top + output,
        }
        for output, row in enumerate(matrix.kept.tolist())
        for number, kept in enumerate(row)
    ]


def _caption(nets: dict[tuple[str, int], nn.Module]) -> str:
    counts = {member: count_weights(net) for member, net in nets.items()}
    sparse = weight_layers(nets["sparse", WIDTH]).values()
    return (
        f"The baseline of width {BASE_WIDTH} has {counts['baseline', BASE_WIDTH]} weights; at "
        f"width {WIDTH} the non-linear bottleneck has {counts['non-linear bottleneck', WIDTH]} and "
        f"the sparse net {counts['sparse', WIDTH]} of "
        f"{sum(layer.weight.numel() for layer in sparse)}. As linear bottlenecks, the nets of "
        f"width {BASE_WIDTH} and {WIDTH} have {counts['linear bottleneck', BASE_WIDTH]} and "
        f"{counts['linear bottleneck', WIDTH]}."
    )


SCALES = [
    Scale("paper", "small nets, nothing to train", lambda: []),
]

EXPERIMENT = Experiment(
    name="figure-2",
    title="Three ways to widen a net at the same number of weights, weight by weight",
    question="What do a linear bottleneck, a non-linear bottleneck and static sparsity each do to "
    "the weights of a net?",
    source="Golubeva et al. 2021, Figure 2",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
