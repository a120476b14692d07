"""What the paper says of ResNet-18."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Measure,
    by_seed,
    measured,
    picked_and_confirmed,
)
from wider.experiments._fraction import fraction_of_gain
from wider.experiments._imagenet import PAPER
from wider.experiments._resnet import DATASETS, PAPER_DATASETS, SMALL_IMAGES, with_baselines

ACCURACY = "test accuracy of the best epoch"
GAIN = f"{ACCURACY}: best wider net less the baseline"
CIFAR = ["cifar10", "cifar100"]
SMALLEST = 8  # base width of the family that the paper treats apart


def gain(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The best sparse net less the dense baseline, in the family of the smallest base width."""
    return _gain_of(table[table["method"] == "sparse"], min, confidence)


def gain_of_largest(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The same in the family of the largest base width, where there are several."""
    if table["base_width"].nunique() < 2:
        return None
    return _gain_of(table[table["method"] == "sparse"], max, confidence)


def gain_falls_with_base_width(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The gain in the family of the smallest base width less that in the largest one's."""
    num_widths = table.groupby("base_width")["width"].nunique()
    bases = sorted(num_widths.index[num_widths > 1].tolist())
    if len(bases) < 2:
        return None
    narrow, wide = bases[0], bases[-1]

    def pick(means: pd.Series) -> Contrast:
        best = {base: _best(means[base].drop(base)) for base in (narrow, wide)}
        return Contrast(
            {
                (narrow, best[narrow]): 1,
                (narrow, narrow): -1,
                (wide, best[wide]): -1,
                (wide, wide): 1,
            },
            f"gain at base width {narrow} (width {best[narrow]}) less gain at base width {wide} "
            f"(width {best[wide]})",
        )

    return picked_and_confirmed(by_seed(table, ["base_width", "width"]), pick, confidence)


def falls_with_training(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """Test accuracy at the width that fits the training images best less that at the widest."""
    family = table[table["base_width"] == table["base_width"].min()]
    values = pd.concat(
        {
            "test": by_seed(family, ["width"]),
            "train": by_seed(family, ["width"], "final_train_accuracy"),
        },
        axis="columns",
    )
    widest = family["width"].max()
    if not len(values) or _best(values.mean()["train"]) == widest:
        return None  # nothing falls yet

    def pick(means: pd.Series) -> Contrast:
        fits = _best(means["train"].drop(widest))
        return Contrast(
            {("test", fits): 1, ("test", widest): -1},
            f"width {fits}, which fits the training images best, less width {widest}",
        )

    return picked_and_confirmed(values, pick, confidence)


def due_to_width(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The part of the dense net's gain that the sparse one has, where that fits best.

    In the family of the largest base width, which is Figure 1's where that has been run.
    """
    both = with_baselines(table, "method", ["dense"])
    if not {"sparse", "dense"} <= set(both["method"]):
        return None
    base = int(both["base_width"].max())
    family = both[both["base_width"] == base]
    sparse = family[(family["method"] == "sparse") & (family["width"] > base)]
    width = _best(by_seed(sparse, ["width"], "final_train_accuracy").mean())
    nets = [("sparse", width), ("dense", width), ("sparse", base)]
    values = by_seed(family, ["method", "width"])
    if not set(nets) <= set(values.columns):
        return None
    paired = values[nets].dropna()
    wide, dense, baseline = (paired[net].to_numpy() for net in nets)
    effect = fraction_of_gain(wide - baseline, dense - baseline, confidence)
    words = f"width {width}, where the sparse net fits its training images best"
    return Evidence(effect, len(paired), words)


def nonlinear_gain(*, smallest: bool) -> Measure:
    """The best net with non-linear bottlenecks less the dense baseline.

    Args:
        smallest: in the family of base width 8; otherwise in the smallest one above that.
    """

    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        both = with_baselines(table, "method", ["nonlinear_bottleneck"])
        is_wanted = both["base_width"] == SMALLEST if smallest else both["base_width"] > SMALLEST
        is_wanted &= both["method"] == "nonlinear_bottleneck"
        return _gain_of(both[is_wanted], min, confidence)

    return measure


def linear_gain(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The best net with linear bottlenecks less the narrowest one, in the smallest family."""
    return _gain_of(table[table["method"] == "linear_bottleneck"], min, confidence)


def below_original(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The net before any bottleneck less the best one with linear bottlenecks."""
    base = table["base_width"].min()
    values = by_seed(table[table["base_width"] == base], ["method", "width"])
    original = ("sparse", base)
    if original not in values or "linear_bottleneck" not in values:
        return None

    def pick(means: pd.Series) -> Contrast:
        best = _best(means["linear_bottleneck"])
        return Contrast(
            {original: 1, ("linear_bottleneck", best): -1},
            f"the net of width {base} less linear bottlenecks at width {best}",
        )

    return picked_and_confirmed(values, pick, confidence)


def pattern_lead(*, widest: bool) -> Measure:
    """Uniform less io pattern, in the family of the smallest base width.

    Args:
        widest: at its widest net; otherwise at the narrowest one that is sparse.
    """

    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        base = table["base_width"].min()
        family = table[(table["base_width"] == base) & (table["width"] > base)]
        if family.empty or family["pattern"].nunique() < 2:
            return None
        width = (max if widest else min)(family["width"])
        return measured(
            by_seed(family, ["pattern", "width"]),
            Contrast(
                {("uniform", width): 1, ("io", width): -1},
                f"base width {base}, width {width}: uniform less io",
            ),
            confidence,
        )

    return measure


def table_1_entry(method: str, width: int) -> Measure:
    """Our accuracy less the paper's."""
    paper, _ = PAPER[method][width]  # pyright: ignore[reportArgumentType]

    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        both = with_baselines(table, "method", ["dense"])
        contrast = Contrast(
            {(method, width): 1}, f"{method}, width {width} less {paper:.2%}", less=paper
        )
        return measured(by_seed(both, ["method", "width"]), contrast, confidence)

    return measure


def _gain_of(rows: pd.DataFrame, which: Callable[[Any], Any], confidence: float) -> Evidence | None:
    if rows.empty:
        return None
    base = which(rows["base_width"])
    values = by_seed(rows[rows["base_width"] == base], ["width"])
    if base not in values or len(values.columns) < 2:
        return None

    def pick(means: pd.Series) -> Contrast:
        best = _best(means.drop(base))
        return Contrast({best: 1, base: -1}, f"width {best} less width {base}")

    return picked_and_confirmed(values, pick, confidence)


def _best(means: pd.Series) -> Any:
    return means.idxmax()


def _for_each(datasets: list[str], claim: Claim) -> tuple[Claim, ...]:
    """The claim for each dataset, whose name stands where the claim's has braces."""
    return tuple(
        replace(
            claim,
            name=claim.name.format(dataset),
            says=claim.says.format(DATASETS[dataset]),
            dataset=dataset,
        )
        for dataset in datasets
    )


FIGURE_1 = _for_each(
    PAPER_DATASETS,
    Claim(
        name="figure-1-{}",
        says="On {}, ResNet-18 gains from width at a fixed number of weights.",
        place="Section 2.3, Figure 1",
        quantity=GAIN,
        measure=gain,
        above=0,
    ),
)

FIGURE_3 = (
    *_for_each(
        CIFAR,
        Claim(
            name="figure-3-linear-{}",
            says="On {}, width by linear bottlenecks gains, up to a certain width.",
            place="Section 2.2, Figure 3",
            quantity=f"{ACCURACY}: best linear bottlenecks less the narrowest, smallest family",
            measure=linear_gain,
            above=0,
        ),
    ),
    *_for_each(
        CIFAR,
        Claim(
            name="figure-3-below-{}",
            says="On {}, linear bottlenecks stay under the net that they were made from.",
            place="Section 2.2, Figure 3",
            quantity=f"{ACCURACY}: the net without bottlenecks less the best with linear ones",
            measure=below_original,
            above=0,
        ),
    ),
    *_for_each(
        CIFAR,
        Claim(
            name="figure-3-nonlinear-{}",
            says="On {}, width by non-linear bottlenecks gains nothing but in the smallest family.",
            place="Section 2.2, Figure 3",
            quantity=f"{GAIN}, in the smallest family above base width 8; nothing: below 0.5",
            measure=nonlinear_gain(smallest=False),
            below=0.5,
        ),
    ),
    *_for_each(
        CIFAR,
        Claim(
            name="figure-3-nonlinear-smallest-{}",
            says="On {}, with 1.8e5 weights non-linear bottlenecks gain a little.",
            place="Section 2.2, Figure 3",
            quantity=f"{GAIN}, base width 8",
            measure=nonlinear_gain(smallest=True),
            above=0,
        ),
    ),
)

FIGURE_5 = (
    *_for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-5-narrow-{}",
            says="On {}, the gain is larger for narrower baselines.",
            place="Section 2.3 and 4, Figure 5",
            quantity=f"{ACCURACY}: gain of the smallest family less gain of the largest one",
            measure=gain_falls_with_base_width,
            above=0,
        ),
    ),
    *_for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-5-fitting-{}",
            says="On {}, there is still a gain for nets that fit their training images.",
            place="Section 2.3, Figure 5",
            quantity=f"{GAIN}, in the family of the largest base width",
            measure=gain_of_largest,
            above=0,
        ),
    ),
)

FIGURE_6 = _for_each(
    PAPER_DATASETS,
    Claim(
        name="figure-6-{}",
        says=(
            "On {}, most of a wide dense net's gain is due to its width, while the sparse net can "
            "fit its training images."
        ),
        place="Section 2.3, Figure 6",
        quantity="(sparse - baseline) / (dense - baseline) where training accuracy is highest",
        measure=due_to_width,
        above=0.5,
        unit="of the gain",
    ),
)

FIGURE_9 = (
    *_for_each(
        CIFAR,
        Claim(
            name="figure-9-lead-{}",
            says="On {}, single weights beat whole kernels for small nets at small connectivity.",
            place="Appendix C, Figure 9",
            quantity=f"{ACCURACY}: uniform less io pattern, widest net of the smallest family",
            measure=pattern_lead(widest=True),
            above=0,
        ),
    ),
    *_for_each(
        CIFAR,
        Claim(
            name="figure-9-close-{}",
            says="On {}, both patterns are close at higher connectivity.",
            place="Appendix C, Figure 9",
            quantity=f"{ACCURACY}: uniform less io pattern, first sparse net of the smallest "
            "family",
            measure=pattern_lead(widest=False),
            above=-1,
            below=1,
        ),
    ),
)

FIGURE_13 = _for_each(
    SMALL_IMAGES,
    Claim(
        name="figure-13-{}",
        says="On {}, test accuracy falls where training accuracy falls.",
        place="Section 2.3, Figures 5 and 13",
        quantity=f"{ACCURACY}: at the width with the highest training accuracy less at the widest",
        measure=falls_with_training,
        above=0,
    ),
)

TABLE_1 = tuple(
    Claim(
        name=f"table-1-{method}-{width}",
        says=f"On ImageNet, the {method} net of width {width} reaches {accuracy:.2%}.",
        place="Table 1",
        quantity=f"{ACCURACY} less the paper's",
        measure=table_1_entry(method, width),
        above=-0.5,
        below=0.5,
        dataset="imagenet",
    )
    for method, entries in PAPER.items()
    for width, (accuracy, _) in entries.items()
)
