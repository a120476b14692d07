"""The command that advises a width before anything is trained."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text

import wider
from wider.cli._tables import Columns
from wider.console import console, say
from wider.errors import InputError
from wider.fields import Normalisation

if TYPE_CHECKING:
    import pandas as pd

    from wider.theory import Advice

BAR = 30  # characters
DOUBLINGS = 8  # widths that are tried by default
LAST_LAYER = (1.0, 0.75, 0.5, 0.25, 0.1)
# The grid has five times the cells; fewer pairs and masks rank them as well, in a few seconds.
GRID_SAMPLE = {"num_pairs": 2000, "num_masks": 128}


def advise(
    dataset: str = "mnist",
    *,
    base_width: int | None = None,
    num_weights: int | None = None,
    widths: tuple[int, ...] = (),
    allocation: str = "level",
    normalisation: Normalisation = "pixel",
    data_dir: Path | None = None,
    picture: Path | None = None,
    seed: int = 0,
) -> None:
    """The width at which an MLP with one hidden layer should learn best, without training any.

    Args:
        dataset: its name; see `wider run --help`.
        base_width: width of the dense net whose number of weights is to be spent.
        num_weights: or that number itself.
        widths: to choose from; the base width and eight doublings of it by default.
        allocation: how the weights are divided between the two layers.
        normalisation: how pixels will be scaled for training; the advice depends on it.
        data_dir: folder of datasets; see `wider run --help`.
        picture: a PNG, SVG, PDF or HTML file for the curve.
        seed: of the pairs of images and the masks.
    """
    if (base_width is None) == (num_weights is None):
        raise InputError("say how many weights there are: either --base-width or --num-weights")
    if picture is not None:
        wider.report.check_picture_file(picture)
    preprocessing = wider.data.Preprocessing(dataset=dataset, normalisation=normalisation)
    loaded = wider.data.load_for(preprocessing, data_dir=data_dir)
    data = wider.data.prepare(loaded, preprocessing)
    if not isinstance(data, wider.data.InMemoryData) or data.task.input == "tokens":
        raise InputError(
            f"{dataset} is of {loaded.kind}: the advice is for MLPs on images of one size and on "
            "tables"
        )
    a_unit = data.task.numbers_in + data.task.num_outputs
    base = _base_width(base_width, num_weights, a_unit, dataset)
    inputs = data.part("train")[0].flatten(1)
    every = widths or tuple(base * 2**power for power in range(DOUBLINGS))
    family = {"base_width": base, "num_classes": data.task.num_outputs, "seed": seed}
    advice = wider.theory.best_width(inputs, widths=every, allocation=allocation, **family)
    about = (
        f"{dataset}, normalisation {normalisation}; MLP of "
        f"{base * a_unit:,} weights, allocation {allocation}"
    )
    _print_distances(advice, about)
    grid = wider.theory.connectivity_grid(
        inputs, widths=every, output_connectivities=LAST_LAYER, **GRID_SAMPLE, **family
    ).to_frame()
    _print_grid(grid)
    for sentence in _sentences(advice, grid):
        console().print(sentence, soft_wrap=True)
    if picture is not None:
        chart = wider.study.advice_chart(advice, [about])
        wider.report.write_chart(chart, picture)
        say(f"picture written to {picture}")


def _base_width(base_width: int | None, num_weights: int | None, a_unit: int, dataset: str) -> int:
    if base_width is not None:
        return base_width
    found = cast(int, num_weights) // a_unit
    if found < 1:
        raise InputError(
            f"num_weights is {num_weights}, but one hidden unit has {a_unit} weights on "
            f"{dataset}: use at least as many"
        )
    return found


def _print_distances(advice: "Advice", about: str) -> None:
    shown = Columns(
        ("width", "connectivity", "last layer", "distance", "±", "theorem 1", "nearness"),
        expendable=("nearness", "theorem 1", "±", "last layer"),
        texts=("nearness",),
        title=about,
        caption="distance: mean squared, over pairs of training images",
    )
    lowest = advice.distances["distance"].min()
    for row in advice.distances.to_frame().itertuples():
        best = row.width == advice.width
        # The longer, the nearer to the infinitely wide net.
        bar = "█" * round(BAR * lowest / cast(float, row.distance)) + (" best" if best else "")
        cells = (
            f"{row.width:,}",
            f"{row.hidden_connectivity:.3g}",
            f"{row.output_connectivity:.3g}",
            f"{row.distance:.3e}",
            f"{row.standard_error:.0e}",
            f"{row.theorem_1:.3e}",
            bar,
        )
        shown.add(cells, style="bold" if best else None)
    shown.print()


def _print_grid(grid: "pd.DataFrame") -> None:
    shown = Columns(
        ("width", *(f"{last_layer:g}" for last_layer in LAST_LAYER)),
        title="distance as a multiple of the smallest, by connectivity of the last layer",
        caption="-: no such net",
    )
    relative = (grid["distance"] / grid["distance"].min()).rename("relative")
    by = grid.assign(relative=relative).pivot(index="width", columns="asked", values="relative")
    for width in by.index:
        cells = [
            by[last_layer].get(width) if last_layer in by else None for last_layer in LAST_LAYER
        ]
        shown.add((f"{width:,}", *map(_multiple, cells)))
    shown.print()


def _multiple(value: float | None) -> Text:
    if value is None or math.isnan(value):
        return Text("-")
    return Text(f"{value:.2f}", style="bold" if value == 1 else "")


def _sentences(advice: "Advice", grid: "pd.DataFrame") -> list[str]:
    widths = advice.distances["width"].tolist()
    sentences = [
        f"Advised width: {advice.width}. Within 5% of its distance: "
        f"{', '.join(map(str, advice.within_5_percent))}; not to be told apart with "
        f"{advice.num_pairs:,} pairs: {', '.join(map(str, advice.indistinguishable))}."
    ]
    if advice.width in (widths[0], widths[-1]):
        sentences.append(
            "That is the end of the range: the best width may lie beyond; try other --widths."
        )
    best = grid.sort_values("distance").iloc[0]
    sentences += [
        f"With the last layer's connectivity free as well: width {best['width']:.0f}, last layer "
        f"{best['asked']:g}.",
        "It holds for ReLU MLPs with one hidden layer and for this scaling of the pixels. Take it "
        "as right to about a doubling, and train the neighbours too where a point counts.",
    ]
    return sentences
