"""The advised width against the one that training finds best, on several sets of images."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import altair as alt
import numpy as np
import pandas as pd

from wider.charts import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    finish,
    of_seeds,
    width_axis,
)
from wider.data import Preprocessing
from wider.drawing import Drawing, layered, together
from wider.evidence import Claim, Evidence, Interval, over_seeds, place_of_best
from wider.runs import RunSpec, Widening
from wider.study._claims import Subject, accuracies
from wider.study._experiment import Experiment, Picture, Scale
from wider.training import Recipe

DOUBLINGS = 8
PAIRS = 300  # a run
EIGHTFOLD = 8

_SETS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits"},
    "MNIST": {"dataset": "mnist"},
    "MNIST 14x14": {"dataset": "mnist", "shrunk_to": 14},
    "MNIST 0 to 4": {"dataset": "mnist", "classes": (0, 1, 2, 3, 4)},
    "MNIST 5 to 9": {"dataset": "mnist", "classes": (5, 6, 7, 8, 9)},
    "CIFAR-10 grey 16x16": {"dataset": "cifar10", "grey": True, "shrunk_to": 16},
}
SETS: Mapping[str, Preprocessing] = {
    name: Preprocessing(normalisation="pixel", **data) for name, data in _SETS.items()
}
NAMES = {
    (data.dataset, data.shrunk_to, " ".join(map(str, data.classes))): name
    for name, data in SETS.items()
}
BASE_WIDTHS = (4, 8)
FAMILY = ["set", "base_width"]
TRAINED = "test accuracy of the last epoch"
# {rule that is drawn: (its name in the legend, colour, dashes)}
DRAWN = {
    "theorem_1": ("Theorem 1 as printed", BLACK, [2, 2]),
    "expected_kernel_distance": ("the advised width", BLUE, [1, 0]),
    "eightfold": ("8 times the base width", GREY, [7, 3]),
}
APART = 4  # pixels between the lines of rules that pick the same width

# Ways to pick a width without training.
RULES = {
    "expected_kernel_distance": "advice: kernel distance with the last layer's mask",
    "theorem_1": "Theorem 1 as printed",
    "root": "sqrt(n0 d), half the paper's optimum",
    "equation_6": "2 sqrt(n0 d), the paper's optimum",
    "eightfold": "always 8 times the base width",
    "connectivity_05": "always the connectivity nearest to .05",
}


def families(
    sets: Sequence[str],
    *,
    base_widths: Sequence[int],
    doublings: int,
    epochs: int,
    num_seeds: int,
    num_train: int | None,
) -> list[RunSpec]:
    """Every width of every family, all of one seed first.

    Args:
        sets: of `SETS`.
        base_widths: of the families.
        doublings: widths of a family, from its base width up.
        epochs: of each run.
        num_seeds: seeds 0, 1, ...
        num_train: training images, or all where there are fewer.
    """
    wanted = itertools.product(range(num_seeds), sets, base_widths, range(doublings))
    return [
        RunSpec(
            # Digits have fewer images than any number asked for here.
            data=SETS[name].model_copy(
                update={"num_train": None if name == "digits" else num_train}
            ),
            widening=Widening(base_width=base_width, width=base_width * 2**power),
            recipe=Recipe(epochs=epochs),
            seed=seed,
            kernel_pairs=PAIRS,
        )
        for seed, name, base_width, power in wanted
    ]


def by_width(table: pd.DataFrame) -> pd.DataFrame:
    """One row per set, base width and width: accuracies and distances over seeds."""
    named = _named(table)
    point = [*FAMILY, "width"]
    means = over_seeds(named, point)
    columns = ["expected_kernel_distance", "theorem_1", "num_features"]
    distances = named.groupby(point)[columns].mean()
    return means.merge(distances.reset_index(), on=point)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        set=list(map(_set_name, table["dataset"], table["shrunk_to"], table["classes"]))
    )


def _set_name(dataset: str, shrunk_to: float, classes: str) -> str:
    data = (dataset, None if pd.isna(shrunk_to) else int(shrunk_to), classes)
    assert data in NAMES, f"a run of no known set: {data}"
    return NAMES[data]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """The hit table: one row per set and base width.

    Columns: the width that training finds best and its mean accuracy (last epoch), the dense
    baseline's; for each rule the width that it picks, by how many doublings that misses the best
    one, and the accuracy that it costs.
    """
    means = by_width(table).dropna(subset="final_test_accuracy")
    return pd.DataFrame([_hit(rows) for _, rows in means.groupby(FAMILY, sort=False)])


def _hit(rows: pd.DataFrame) -> dict[str, object]:
    by = rows.set_index("width")
    base_width = int(rows["base_width"].iloc[0])
    accuracy = by["final_test_accuracy"]
    best = cast(int, accuracy.idxmax())
    found: dict[str, object] = {
        "set": rows["set"].iloc[0],
        "base_width": base_width,
        "num_weights": int(rows["num_weights"].iloc[0]),
        "seeds": int(rows["seeds"].min()),
        "best_width": best,
        "best_accuracy": accuracy[best],
        "baseline_accuracy": accuracy.get(base_width),
    }
    for rule in RULES:
        picked = _picked(rule, by, base_width)
        found |= {
            f"{rule}_width": picked,
            f"{rule}_doublings": _doublings(picked, best),
            f"{rule}_cost": accuracy[best] - accuracy[picked],
        }
    return found


def _picked(rule: str, by: pd.DataFrame, base_width: int) -> int:
    if rule in by:
        return cast(int, by[rule].idxmin())
    if rule == "connectivity_05":
        return cast(int, (by["connectivity"] - 0.05).abs().idxmin())
    root = math.sqrt(base_width * by["num_features"].iloc[0])
    wanted = {"eightfold": EIGHTFOLD * base_width, "root": root, "equation_6": 2 * root}[rule]
    return min(by.index, key=lambda width: abs(math.log2(width / wanted)))


def _doublings(picked: int, best: int) -> int:
    return round(math.log2(picked / best))


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy by width, a panel per family, with the width that each rule picks."""
    means, hits = by_width(table), summarise(table)
    if hits.empty:  # all runs diverged
        return []
    panels = [
        _panel(rows, hits[(hits["set"] == name) & (hits["base_width"] == base_width)]).properties(
            title=f"{name}, base width {base_width}", width=340, height=180
        )
        for name, base_width in hits[FAMILY].itertuples(index=False)
        if len(rows := means[(means["set"] == name) & (means["base_width"] == base_width)])
    ]
    subtitle = [
        f"MLP with one hidden layer, each pixel normalised, plain SGD; {scale.label}",
        f"{of_seeds(means).capitalize()}; CIFAR-10 is re-encoded. Upright lines: the width that "
        "each rule picks, side by side where rules agree",
    ]
    chart = together("concat", panels, independent=["x", "y"], columns=2)
    title = "The advised width, and the accuracy that training finds"
    return [Picture("advice", finish(chart, title, subtitle), _finding(hits))]


def _panel(rows: pd.DataFrame, hit: pd.DataFrame) -> Drawing:
    shown = rows.assign(
        low=rows["final_test_accuracy"] - rows["final_test_accuracy_interval"],
        high=rows["final_test_accuracy"] + rows["final_test_accuracy_interval"],
    )
    x = width_axis(sorted(rows["width"].tolist()), "width")
    axis: dict[str, Any] = {
        "axis": alt.Axis(format="~%"),
        "scale": alt.Scale(zero=False, nice=False, padding=10),
        "title": "test accuracy",
    }
    base = alt.Chart(shown.assign(line=TRAINED)).encode(x=x, **_by_line())
    lines = base.encode(y=alt.Y("final_test_accuracy:Q", **axis))
    layers = []
    for place, (rule, (name, *_)) in enumerate(DRAWN.items()):
        picked = pd.DataFrame({"width": hit[f"{rule}_width"], "line": name})
        drawn = alt.Chart(picked).mark_rule(strokeWidth=2.5, xOffset=APART * (place - 1))
        layers.append(drawn.encode(x=x, **_by_line()))
    layers += [
        lines.mark_line(strokeWidth=2),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", **axis), y2=alt.Y2("high:Q")),
        lines.mark_circle(size=35, opacity=1),
    ]
    return layered(*layers)


def _by_line() -> dict[str, Any]:
    names, colours, dashes = zip(*DRAWN.values(), strict=True)
    legend = alt.Legend(
        title=None,
        orient="bottom",
        labelLimit=300,
        symbolType="stroke",
        symbolSize=300,
        symbolStrokeWidth=2.5,
    )
    domain = [TRAINED, *names]
    return {
        "color": alt.Color(
            "line:N", scale=alt.Scale(domain=domain, range=[ORANGE, *colours]), legend=legend
        ),
        "strokeDash": alt.StrokeDash(
            "line:N", scale=alt.Scale(domain=domain, range=[[1, 0], *dashes]), legend=legend
        ),
    }


def _finding(hits: pd.DataFrame) -> str:
    sentences = []
    for rule, name in RULES.items():
        near = (hits[f"{rule}_doublings"].abs() <= 1).sum()
        cost = 100 * hits[f"{rule}_cost"].mean()
        sentences.append(
            f"{name}: within one doubling of the best width in {near} of {len(hits)} families, "
            f"{cost:.1f} points lost on average"
        )
    return "; ".join(sentences) + "."


def doublings_from_law(table: pd.DataFrame) -> Evidence | None:
    """Doublings between a family's best width and 2 sqrt(n0 d), either way; mean over families."""
    known = table["dataset"].isin({data.dataset for data in SETS.values()})
    named = _named(table[known & (table["status"] == "finished")])
    families = [rows for _, rows in named.groupby(FAMILY)]
    places = [_doublings_off(rows) for rows in families]
    found = [place for place in places if place is not None]
    if len(found) < len(SETS) * len(BASE_WIDTHS):
        return None

    def interval(confidence: float) -> Interval:
        shared = 1 - (1 - confidence) / len(found)
        off = [_either_way(place(shared)) for place in found]
        return Interval(*(float(np.mean(ends)) for ends in zip(*off, strict=True)))

    seeds = int(named.groupby([*FAMILY, "width"]).size().min())
    return Evidence(interval, seeds, f"{len(found)} families, as well as their widths can tell")


def _doublings_off(rows: pd.DataFrame) -> Callable[[float], Interval] | None:
    law = 2 * math.sqrt(rows["base_width"].iloc[0] * rows["num_features"].iloc[0])
    nets = accuracies(rows, ["width"], "final_test_accuracy")
    return place_of_best(nets, lambda width: math.log2(width / law))


def _either_way(found: Interval) -> Interval:
    sizes = [abs(found.low), abs(found.high)]
    nearest = 0.0 if found.low < 0 < found.high else min(sizes)
    return Interval(abs(found.value), nearest, max(sizes))


CLAIMS = (
    Claim(
        name="advice-law",
        says="In other families, too, the best width is 2 sqrt(n0 d).",
        place="Section 3, below equation (6)",
        quantity="doublings between it and the width of the smallest error, either way; mean over "
        "families of other n0 and d; best: within one",
        measure=doublings_from_law,
        subject=Subject.OPTIMUM,
        below=1,
        unit="doublings",
    ),
)

SCALES = [
    Scale(
        "smoke",
        "digits, base width 4, 4 widths, 2 epochs, 1 seed",
        lambda: families(
            ["digits"], base_widths=(4,), doublings=4, epochs=2, num_seeds=1, num_train=None
        ),
    ),
    Scale(
        "laptop",
        "at most 20,000 images, 40 epochs, 5 seeds",
        lambda: families(
            list(SETS),
            base_widths=BASE_WIDTHS,
            doublings=DOUBLINGS,
            epochs=40,
            num_seeds=5,
            num_train=20_000,
        ),
    ),
    Scale(
        "paper",
        "all images, 300 epochs as in Figure 4, 5 seeds",
        lambda: families(
            list(SETS),
            base_widths=BASE_WIDTHS,
            doublings=DOUBLINGS,
            epochs=300,
            num_seeds=5,
            num_train=None,
        ),
    ),
]

EXPERIMENT = Experiment(
    name="advice",
    title="The advised width against the trained optimum",
    question="Does the kernel distance, computed before any training, find the width at which "
    "training does best, and what do simpler rules find?",
    source="our own study, after Golubeva et al. 2021, Section 3",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
)
