"""The command that advises a width before anything is trained."""

import math
from pathlib import Path
from typing import cast

import pandas as pd
from rich.table import Table
from rich.text import Text

from wider.console import console, say
from wider.data import InMemoryData, Normalisation, Preprocessing, load_for, prepare
from wider.errors import InputError
from wider.report import check_picture_file, write_chart
from wider.study.advice_chart import advice_chart
from wider.theory import Advice, best_width, connectivity_grid

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
    if picture is not None:
        check_picture_file(picture)
    preprocessing = Preprocessing(dataset=dataset, normalisation=normalisation)
    loaded = load_for(preprocessing, data_dir=data_dir)
    data = prepare(loaded, preprocessing)
    if not isinstance(data, InMemoryData) or data.task.input == "tokens":
        raise InputError(
            f"{dataset} is of {loaded.kind}: the advice is for MLPs on images of one size and on "
            "tables"
        )
    a_unit = data.task.numbers_in + data.task.num_outputs
    base = _base_width(base_width, num_weights, a_unit, dataset)
    inputs = data.part("train")[0].flatten(1)
    every = widths or tuple(base * 2**power for power in range(DOUBLINGS))
    family = {"base_width": base, "num_classes": data.task.num_outputs, "seed": seed}
    advice = best_width(inputs, widths=every, allocation=allocation, **family)
    about = (
        f"{dataset}, normalisation {normalisation}; MLP of "
        f"{base * a_unit:,} weights, allocation {allocation}"
    )
    console().print(_table(advice, about))
    grid = connectivity_grid(
        inputs, widths=every, output_connectivities=LAST_LAYER, **GRID_SAMPLE, **family
    ).to_frame()
    console().print(_grid_table(grid))
    for sentence in _sentences(advice, grid):
        console().print(sentence, soft_wrap=True)
    if picture is not None:
        write_chart(advice_chart(advice, [about]), picture)
        say(f"picture written to {picture}")


def _base_width(base_width: int | None, num_weights: int | None, a_unit: int, dataset: str) -> int:
    if (base_width is None) == (num_weights is None):
        raise InputError("say how many weights there are: either --base-width or --num-weights")
    if base_width is not None:
        return base_width
    found = cast(int, num_weights) // a_unit
    if found < 1:
        raise InputError(
            f"num_weights is {num_weights}, but one hidden unit has {a_unit} weights on "
            f"{dataset}: use at least as many"
        )
    return found


def _table(advice: Advice, about: str) -> Table:
    shown = Table(title=about, caption="distance: mean squared, over pairs of training images")
    for column in ("width", "connectivity", "last layer", "distance", "±", "theorem 1", ""):
        shown.add_column(column, justify="left" if not column else "right")
    lowest = advice.distances["distance"].min()
    for row in advice.distances.to_frame().itertuples():
        best = row.width == advice.width
        # The longer, the nearer to the infinitely wide net.
        bar = "█" * round(BAR * lowest / cast(float, row.distance)) + (" best" if best else "")
        shown.add_row(
            f"{row.width:,}",
            f"{row.hidden_connectivity:.3g}",
            f"{row.output_connectivity:.3g}",
            f"{row.distance:.3e}",
            f"{row.standard_error:.0e}",
            f"{row.theorem_1:.3e}",
            bar,
            style="bold" if best else None,
        )
    return shown


def _grid_table(grid: pd.DataFrame) -> Table:
    shown = Table(
        title="distance as a multiple of the smallest, by connectivity of the last layer",
        caption="-: no such net",
    )
    relative = (grid["distance"] / grid["distance"].min()).rename("relative")
    by = grid.assign(relative=relative).pivot(index="width", columns="asked", values="relative")
    shown.add_column("width", justify="right")
    for last_layer in LAST_LAYER:
        shown.add_column(f"{last_layer:g}", justify="right")
    for width in by.index:
        cells = [
            by[last_layer].get(width) if last_layer in by else None for last_layer in LAST_LAYER
        ]
        shown.add_row(f"{width:,}", *map(_multiple, cells))
    return shown


def _multiple(value: float | None) -> Text:
    if value is None or math.isnan(value):
        return Text("-")
    return Text(f"{value:.2f}", style="bold" if value == 1 else "")


def _sentences(advice: Advice, grid: pd.DataFrame) -> list[str]:
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
