"""All three ways to widen a net at a constant number of weights, in one MLP on MNIST."""

import itertools
import math
from collections.abc import Sequence

import pandas as pd

from wider.charts import (
    BLUE,
    GREEN,
    ORANGE,
    accuracy_lines,
    finish,
    of_seeds,
    width_axis,
)
from wider.data import Preprocessing
from wider.evidence import Claim, Evidence, Measure, best_less_best, over_seeds
from wider.models import MLPSpec
from wider.runs import Method, RunSpec, Widening
from wider.study._claims import Subject, accuracies, best_gain, single
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.training import Recipe

WAYS: dict[Method, str] = {
    "sparse": "static sparsity",
    "linear_bottleneck": "linear bottleneck",
    "nonlinear_bottleneck": "non-linear bottleneck",
}
BASE_WIDTH, WIDTHS = 16, (16, 32, 64, 128)
HIDDEN_LAYERS = 2  # the fewest of which a non-linear bottleneck can narrow one
LAST_EPOCH = "final_test_accuracy"
PLACE = "Section 1.1"
BOTTLENECKS = ("linear_bottleneck", "nonlinear_bottleneck")


def runs(
    *, widths: Sequence[int] = WIDTHS, epochs: int, num_seeds: int, num_train: int | None = None
) -> list[RunSpec]:
    """Every width of every way, all of one seed first; the dense baseline once.

    Args:
        widths: of the widened layers, the base width first.
        epochs: of each run.
        num_seeds: seeds 0, 1, ...
        num_train: training images; None for all.
    """
    wanted = itertools.product(range(num_seeds), WAYS, widths)
    return [
        RunSpec(
            data=Preprocessing(dataset="mnist", num_train=num_train),
            model=MLPSpec(num_hidden_layers=HIDDEN_LAYERS),
            widening=Widening(method=method, base_width=widths[0], width=width),
            recipe=Recipe(epochs=epochs),
            seed=seed,
        )
        for seed, method, width in wanted
        # At the base width only linear bottlenecks are another net than the sparse one.
        if width > widths[0] or method != "nonlinear_bottleneck"
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per way and width; the baseline is the first of sparse and of non-linear nets."""
    both = with_baselines(table, "method", ["nonlinear_bottleneck"])
    return over_seeds(both, ["method", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a line for each way."""
    means = summarise(table)
    means["net"] = means["method"].map(WAYS)
    baseline = means[(means["method"] == "sparse") & (means["width"] == means["width"].min())]
    chart = accuracy_lines(
        means,
        x=width_axis(sorted(means["width"].unique().tolist()), "width"),
        accuracy="final_test_accuracy",
        colours=dict(zip(WAYS.values(), (BLUE, ORANGE, GREEN), strict=True)),
        y_title="test accuracy, last epoch",
        dashed=baseline,
    )
    subtitle = [
        f"MNIST, MLP with {HIDDEN_LAYERS} hidden layers; {scale.label}",
        _weights(means),
        of_seeds(means).capitalize(),
    ]
    title = "Three ways to widen an MLP at a constant number of weights"
    return [Picture("three-ways", finish(chart, title, subtitle), _finding(means))]


def _weights(means: pd.DataFrame) -> str:
    parts = [
        f"{WAYS[method]} {_range(means.loc[means['method'] == method, 'num_weights'])}"
        for method in WAYS
        if (means["method"] == method).any()
    ]
    return f"Weights, {', '.join(parts)}"


def _range(counts: pd.Series) -> str:
    lowest, highest = counts.min(), counts.max()
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"


def _finding(means: pd.DataFrame) -> str:
    sentences = []
    for method, name in WAYS.items():
        known = means[means["method"] == method].dropna(subset="final_test_accuracy")
        values = ", ".join(
            f"{accuracy:.1%} at width {width}"
            for width, accuracy in zip(known["width"], known["final_test_accuracy"], strict=True)
        )
        sentences.append(f"{name}: {values or 'not run'}.")
    return " ".join(sentences)


def gain_by(method: str) -> Measure:
    """The best wider net of one way less the narrowest one."""

    def measure(table: pd.DataFrame) -> Evidence | None:
        both = with_baselines(table, "method", ["nonlinear_bottleneck"])
        return best_gain(accuracies(both[both["method"] == method], ["width"], LAST_EPOCH))

    return measure


def sparsity_leads(table: pd.DataFrame) -> Evidence | None:
    """The best sparse net less the best one with bottlenecks of either kind."""
    nets = accuracies(table, ["method", "width"], LAST_EPOCH)
    sparse = [net for net in nets if net[0] == "sparse"]
    others = [net for net in nets if net[0] in BOTTLENECKS]
    if not sparse or {net[0] for net in others} != set(BOTTLENECKS):
        return None

    def words(net: tuple[str, int]) -> str:
        return f"{net[0].replace('_', ' ')} at width {net[1]}"

    return best_less_best(nets, single(sparse, words), single(others, words))


def _gain_claim(
    method: str, says: str, *, above: float = -math.inf, below: float = math.inf
) -> Claim:
    return Claim(
        name=f"three-ways-{method.partition('_')[0]}",
        says=says,
        place=PLACE,
        quantity="test accuracy of the last epoch: best wider net less the narrowest one",
        measure=gain_by(method),
        subject=Subject.WIDTH if method == "sparse" else Subject.BOTTLENECKS,
        above=above,
        below=below,
    )


CLAIMS = (
    _gain_claim("sparse", "In an MLP on MNIST, width by static sparsity gains.", above=0),
    _gain_claim(
        "linear_bottleneck", "In an MLP on MNIST, width by linear bottlenecks gains.", above=0
    ),
    _gain_claim(
        "nonlinear_bottleneck",
        "In an MLP on MNIST, width by non-linear bottlenecks gains nothing.",
        below=0,
    ),
    Claim(
        name="three-ways-best",
        says="In an MLP on MNIST, static sparsity gives the best net of the three ways.",
        place="Section 1.1 and 4",
        quantity="test accuracy of the last epoch: best sparse net less the best with bottlenecks",
        measure=sparsity_leads,
        subject=Subject.BOTTLENECKS,
        above=0,
    ),
)


SCALES = [
    Scale(
        "smoke",
        "500 images, 2 epochs, widths 16 and 32, 1 seed",
        lambda: runs(widths=(16, 32), epochs=2, num_seeds=1, num_train=500),
    ),
    Scale(
        "laptop",
        "all images, 20 epochs, 5 seeds",
        lambda: runs(epochs=20, num_seeds=5),
    ),
]

EXPERIMENT = Experiment(
    name="three-ways",
    title="All three ways to widen, in an MLP with two hidden layers on MNIST",
    question="Which of the three ways to widen at a constant number of weights makes a small MLP "
    "better, and is it the one that does so for ResNet-18?",
    source="our own study, after Golubeva et al. 2021, Sections 1.1 and 2.2",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
)
