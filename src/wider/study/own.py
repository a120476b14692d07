"""Runs of no experiment, a family at a time: accuracy against width, whatever was varied."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from wider.charts import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    accuracy_lines,
    finish,
    of_seeds,
    width_axis,
)
from wider.columns import Role
from wider.models import ACTIVATION_NAMES
from wider.runs import RunSpec, asked, model_of, names_of
from wider.study._experiment import Experiment, Picture
from wider.study._lines import (
    NOT_SPARSE,
    SPARSE_ONLY,
    TRAINING,
    by_family,
    means,
    same_lines,
    varying,
)

METHODS = {
    "sparse": "sparse, {:,} weights",
    "dense": "dense, weights grow with the width",
    "linear_bottleneck": "linear bottleneck, {:,} effective weights",
    "nonlinear_bottleneck": "non-linear bottleneck, {:,} weights",
}
COLOURS = [BLUE, ORANGE, GREEN, PURPLE, BLACK]
MOST_LINES = len(COLOURS)  # in one picture
LINE = 85  # characters, under a title

DEFAULTS = asked(RunSpec())
ALWAYS_SAID = {"normalisation", "activation", "epochs", "batch_size", "learning_rate"}
# What is said of the data beside their name.
DATA = names_of(Role.FAMILY, part="data")[1:]

ACCURACY, METRIC = "final_test_accuracy", "final_test_metric"


@dataclass(frozen=True, eq=False)
class OwnStudy:
    """Runs of one family that belong to no experiment, and what they show.

    Attributes:
        name: such as "study-1"; its pictures are named after it.
        table: the runs, one row each.
    """

    name: str
    table: pd.DataFrame

    @property
    def title(self) -> str:
        """Data, net and base width."""
        return _title(self.table)

    @property
    def question(self) -> str:
        """What is asked, and what all of its runs have in common."""
        words = _metric_of(self.table).words
        return f"How does {words} change with width? All of its runs: {_in_common(self.table)}."

    @property
    def seeds(self) -> str:
        """How many there are, in words."""
        count = self.table["seed"].nunique()
        return f"{count} seed{'s' if count > 1 else ''}"

    @property
    def means(self) -> pd.DataFrame:
        """One row per net and way to train it."""
        return means(self.table)

    def draw(self) -> list[Picture]:
        """Its pictures: a line per kind of net, of which one picture has no more than a few."""
        return _draw(self.table, self.name)


def own_studies(runs: pd.DataFrame, experiments: Mapping[str, Experiment]) -> Iterator[OwnStudy]:
    """A study for each family with runs that belong to no experiment.

    Args:
        runs: one row each. Those of experiments that continue a line of such runs, or are its
            baseline, are shown with them.
        experiments: by name.
    """
    known = {
        key
        for experiment in experiments.values()
        for scale in experiment.scales.values()
        for key in scale.keys
    }
    own = runs[~runs["key"].isin(known)]
    for number, table in enumerate(by_family(same_lines(runs, own)), start=1):
        yield OwnStudy(f"study-{number}", table)


@dataclass(frozen=True)
class _Metric:
    """What runs are compared by: accuracy, or another metric.

    Attributes:
        name: of it.
        higher_is_better: or lower.
        examples: what was tested.
    """

    name: str
    higher_is_better: bool
    examples: str = "images"

    @property
    def is_accuracy(self) -> bool:
        """Which is a fraction, in percent."""
        return self.name == "accuracy"

    @property
    def column(self) -> str:
        """Of a table of means."""
        return ACCURACY if self.is_accuracy else METRIC

    @property
    def words(self) -> str:
        """What it is called."""
        return self.name.replace("-", " ").replace("_", " ")

    @property
    def axis_format(self) -> str:
        """Of numbers on an axis."""
        return "~%" if self.is_accuracy else "~g"

    def value(self, number: float) -> str:
        """A value in a sentence."""
        return f"{number:.1%}" if self.is_accuracy else f"{number:.4g} {self.words}"

    def gain(self, difference: float) -> str:
        """A difference in a sentence."""
        return f"{100 * difference:+.1f} points" if self.is_accuracy else f"{difference:+.3g}"


def _metric_of(table: pd.DataFrame) -> _Metric:
    if "metric" not in table or table["metric"].iloc[0] in ("", "accuracy", None):
        return _Metric("accuracy", higher_is_better=True)
    run = table.iloc[0]
    return _Metric(str(run["metric"]), bool(run["higher_is_better"]), "examples")


def _title(table: pd.DataFrame) -> str:
    run = table.iloc[0]
    lossy = table["data_encoding"].isin(["jpeg", "mixed"]).any()
    model = model_of(run).title
    images = f"{'re-encoded ' if lossy else ''}{run['dataset']}"
    changes = _listed(_unusual(run, DATA))
    left_out = f"{run['exclude']} dense and not counted" if run["exclude"] else ""
    family = filter(None, [model, f"base width {run['base_width']}", left_out])
    return f"{', '.join(filter(None, [images, changes]))}: {', '.join(family)}"


def _in_common(table: pd.DataFrame) -> str:
    """What all runs share, apart from the defaults that nobody asks about."""
    differing = varying(table, TRAINING)
    shared = [field for field in ("stem", *TRAINING) if field not in differing]
    return _listed(_unusual(table.iloc[0], shared))


def _unusual(run: pd.Series, fields: Sequence[str]) -> dict[str, object]:
    return {
        field: run[field]
        for field in fields
        if pd.notna(run[field]) and (field in ALWAYS_SAID or run[field] != DEFAULTS[field])
    }


def _draw(table: pd.DataFrame, name: str) -> list[Picture]:
    shown, metric = means(table), _metric_of(table)
    varied = [field for field in (*TRAINING, *SPARSE_ONLY) if field in shown]
    in_titles, in_legends = _divided(shown, varied)
    pictures = []
    for values, rows in _parts(shown, in_titles):
        labels = _labels(rows, in_legends)
        chart = accuracy_lines(
            rows.assign(net=labels),
            x=width_axis(sorted(rows["width"].unique().tolist()), "width"),
            accuracy=metric.column,
            colours=dict(zip(labels.unique(), COLOURS, strict=False)),
            y_title=f"test {metric.words}, last epoch",
            number_format=metric.axis_format,
        )
        finished = finish(chart, _title(table), _subtitle(table, rows, values))
        picture_name = f"{name}-{len(pictures) + 1}" if in_titles else name
        pictures.append(Picture(picture_name, finished, _finding(rows.assign(net=labels), metric)))
    return pictures


def _subtitle(table: pd.DataFrame, shown: pd.DataFrame, values: Mapping[str, object]) -> list[str]:
    of_this_picture = [f"Here: {_listed(values)}"] if values else []
    apart = " (not of linear bottlenecks)" if "linear_bottleneck" in set(table["method"]) else ""
    return [
        *textwrap.wrap(_in_common(table), LINE),
        *of_this_picture,
        f"{of_seeds(shown).capitalize()}; at the base width, the dense baseline{apart}.",
    ]


def _divided(shown: pd.DataFrame, varied: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which fields need pictures of their own, those of the fewest values first, for the lines of
    the others to fit into one.
    """
    in_titles: list[str] = []
    in_legends = sorted(varied, key=lambda field: shown[field].nunique())
    while in_legends and len(shown[["method", *in_legends]].drop_duplicates()) > MOST_LINES:
        in_titles.append(in_legends.pop(0))
    return in_titles, in_legends


def _parts(
    shown: pd.DataFrame, fields: Sequence[str]
) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Rows by the values of some fields; nets that are not sparse go with every allocation."""
    order = list(METHODS)
    rows = shown.sort_values("method", kind="stable", key=lambda names: names.map(order.index))
    if not fields:
        yield {}, rows
        return
    values = rows[list(fields)].drop_duplicates().sort_values(list(fields)).to_numpy(dtype=object)
    for named in _without_what_goes_with_others(
        [dict(zip(fields, row, strict=True)) for row in values]
    ):
        kept = pd.Series(True, index=rows.index)
        for field, value in named.items():
            kept &= rows[field].isin([value, NOT_SPARSE] if field in SPARSE_ONLY else [value])
        yield named, rows[kept]


def _without_what_goes_with_others(every: list[dict[str, object]]) -> list[dict[str, object]]:
    """Values of nets that are not sparse need no picture where sparse ones are trained alike."""
    sparse = [named for named in every if NOT_SPARSE not in named.values()]
    training = [_training(named) for named in sparse]
    return [named for named in every if named in sparse or _training(named) not in training]


def _training(named: Mapping[str, object]) -> dict[str, object]:
    return {field: value for field, value in named.items() if field not in SPARSE_ONLY}


def _labels(rows: pd.DataFrame, fields: Sequence[str]) -> pd.Series:
    weights = rows.groupby("method")["num_effective_weights"].max()
    labels = []
    for row in rows.to_dict("records"):
        name = METHODS[row["method"]].format(int(weights[row["method"]]))
        own = {field: row[field] for field in fields}
        labels.append(", ".join(filter(None, [name, _listed(own)])))
    return pd.Series(labels, index=rows.index)


def _finding(rows: pd.DataFrame, metric: _Metric) -> str:
    """What is seen, line by line."""
    sentences = []
    for name, line in rows.groupby("net", sort=False):
        net = str(name)[0].upper() + str(name)[1:]
        known = line.dropna(subset=metric.column)
        if known.empty:
            sentences.append(f"{net}: every run diverged.")
            continue
        best = known.sort_values(metric.column, ascending=metric.higher_is_better).iloc[-1]
        narrowest = known.sort_values("width").iloc[0]
        gain = best[metric.column] - narrowest[metric.column]
        compared = f", {metric.gain(gain)} on width {narrowest['width']}" if gain else ""
        value = metric.value(best[metric.column])
        sentences.append(f"{net}: {value} at width {best['width']}{compared}.")
    picked = f"Means over seeds; the widths were picked on the same test {metric.examples}."
    return " ".join([*sentences, picked])


def _listed(values: Mapping[str, object]) -> str:
    words = {field: _text(field, value) for field, value in values.items() if value != NOT_SPARSE}
    return ", ".join(f"{field.replace('_', ' ')} {value}" for field, value in words.items())


def _text(field: str, value: Any) -> str:
    if field == "activation":
        return ACTIVATION_NAMES.get(value, str(value))
    if isinstance(value, bool | np.bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if str(value).startswith('{"name"'):
        table = json.loads(str(value))
        options = [f"{name} {_text(name, option)}" for name, option in table.items()]
        return ", ".join([table["name"], *options[1:]])
    return str(value).strip("{}").replace('"', "") or "none"
