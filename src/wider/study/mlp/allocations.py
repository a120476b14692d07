"""How many weights each layer keeps: the level allocation against the others."""

import itertools
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
from wider.evidence import Claim, Evidence, best_less_best, over_seeds
from wider.runs import RunSpec
from wider.study._claims import Subject, accuracies, single
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.mlp import three_ways
from wider.study.paper import dataset_title
from wider.study.resnet.charts import so_far
from wider.study.resnet.runs import GPU, resnet_runs

ALLOCATIONS: dict[str, str] = {
    "level": "level",
    "proportional": "proportional",
    "erdos_renyi": "Erdős-Rényi",
}
WIDTHS = (16, 32, 64, 128, 256)
LAST_EPOCH = "final_test_accuracy"


def runs(
    *, widths: Sequence[int] = WIDTHS, epochs: int, num_seeds: int, num_train: int | None = None
) -> list[RunSpec]:
    """The sparse nets of `three-ways`, with every allocation; arguments as there."""
    every = three_ways.runs(widths=widths, epochs=epochs, num_seeds=num_seeds, num_train=num_train)
    return _spread([spec for spec in every if spec.widening.method == "sparse"])


def _spread(level: Sequence[RunSpec]) -> list[RunSpec]:
    """Each run with every allocation; at the base width there is nothing to allocate."""
    return [
        spec.model_copy(
            update={"widening": spec.widening.model_copy(update={"allocation": allocation})}
        )
        for spec, allocation in itertools.product(level, ALLOCATIONS)
        if spec.widening.width > spec.widening.base_width or allocation == "level"
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per allocation and width; the dense baseline is the first of each."""
    is_baseline = table["width"] == table["base_width"]
    baselines = [
        table[is_baseline].assign(allocation=allocation)
        for allocation in ALLOCATIONS
        if (table["allocation"] == allocation).any()
    ]
    return over_seeds(
        pd.concat([table[~is_baseline], *baselines], ignore_index=True),
        ["model", "allocation", "width"],
    )


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a line for each allocation."""
    means = summarise(table)
    means["net"] = means["allocation"].map(ALLOCATIONS)
    is_baseline = (means["width"] == means["width"].min()) & (means["allocation"] == "level")
    chart = accuracy_lines(
        means,
        x=width_axis(sorted(means["width"].unique().tolist()), "width"),
        accuracy=LAST_EPOCH,
        colours=dict(zip(ALLOCATIONS.values(), (BLUE, ORANGE, GREEN), strict=True)),
        y_title="test accuracy, last epoch",
        dashed=means[is_baseline],
    )
    data = ", ".join(dataset_title(table, name) for name in sorted(table["dataset"].unique()))
    model = "MLP" if (table["model"] == "mlp").all() else "ResNet-18"
    subtitle = [
        f"{data}, {model} of {means['num_weights'].iloc[0]:,} weights; {scale.label}",
        of_seeds(means).capitalize(),
        *so_far(table, scale),
    ]
    title = "How many weights each layer keeps: three allocations"
    return [Picture("allocations", finish(chart, title, subtitle), _finding(means))]


def _finding(means: pd.DataFrame) -> str:
    sentences = []
    for allocation, name in ALLOCATIONS.items():
        known = means[means["allocation"] == allocation].dropna(subset=LAST_EPOCH)
        values = ", ".join(
            f"{accuracy:.1%} at width {width}"
            for width, accuracy in zip(known["width"], known[LAST_EPOCH], strict=True)
        )
        sentences.append(f"{name}: {values or 'not run'}.")
    return " ".join(sentences)


def level_leads(table: pd.DataFrame) -> Evidence | None:
    """The best net by the level allocation less the best one by any other."""
    wider = table[table["width"] > table["base_width"]]
    nets = accuracies(wider, ["allocation", "width"], LAST_EPOCH)
    level = [net for net in nets if net[0] == "level"]
    others = [net for net in nets if net[0] != "level"]
    if not level or {net[0] for net in others} != set(ALLOCATIONS) - {"level"}:
        return None

    def words(net: tuple[str, int]) -> str:
        return f"{ALLOCATIONS[net[0]]} at width {net[1]}"

    return best_less_best(nets, single(level, words), single(others, words))


CLAIMS = (
    Claim(
        name="allocations-level",
        says="Cutting the largest layers first is the best of the allocations that were tried.",
        place="Section 2.3 and 4",
        quantity="test accuracy of the last epoch: best net by the level allocation less the best "
        "by the proportional one or Erdős-Rényi's",
        measure=level_leads,
        subject=Subject.SPREAD,
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
        f"MLP with {three_ways.HIDDEN_LAYERS} hidden layers, all images, 20 epochs, 5 seeds",
        lambda: runs(epochs=20, num_seeds=5),
    ),
    Scale(
        "gpu",
        "ResNet-18 on CIFAR-10, base width 8, 20 epochs, 3 seeds",
        lambda: _spread(resnet_runs(GPU, {8: (64, 32, 16, 8)}, datasets=["cifar10"])),
    ),
]

EXPERIMENT = Experiment(
    name="allocations",
    title="How many weights each layer keeps: level, proportional or Erdős-Rényi",
    question="Is a wide, sparse net better when the largest layers are cut first than when every "
    "layer keeps the same part of its weights?",
    source="our own study, after Golubeva et al. 2021, Section 2.3",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
)
