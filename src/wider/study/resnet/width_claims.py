"""What the paper says of the width of a sparse ResNet-18: Figures 1, 5, 11 and 13."""

import math
from typing import Any

import pandas as pd

from wider.evidence import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    Nets,
    at_best,
    best_less_best,
    difference,
    place_of_best,
)
from wider.study._claims import (
    Subject,
    accuracies,
    for_each,
    gain_in_family,
    gain_less_gain,
    gains,
    number,
    single,
)
from wider.study.resnet.runs import PAPER_DATASETS, SMALL_IMAGES

ACCURACY = "test accuracy of the best epoch"
GAIN = f"{ACCURACY}: best wider net less the baseline"
HARDEST = "cifar100"
WIDENING = (3, 10)  # at which the paper finds the best nets
LARGEST_ALIKE = 18  # base width of the largest family whose best connectivity is like the others'
LARGE = 40  # base width of the smaller of the two families that the paper has beyond those
FITTED = 99  # percent of its training images that a net gets right that fits them
TRAIN = "final_train_accuracy"


def gain(table: pd.DataFrame) -> Evidence | None:
    """The best sparse net less the dense baseline, in the family of the smallest base width."""
    sparse = table[table["method"] == "sparse"]
    return gain_in_family(sparse, sparse["base_width"].min())


def gain_of_fitting(table: pd.DataFrame) -> Evidence | None:
    """The same in the family of the largest base width, where that fits its training images."""
    bases = _families(table)
    if len(bases) < 2:
        return None
    trained = accuracies(table[table["base_width"] == bases[-1]], ["width"], TRAIN)
    fits = trained[trained.best()].value >= FITTED
    return gain_in_family(table, bases[-1]) if fits else None


def gain_falls_with_base_width(table: pd.DataFrame) -> Evidence | None:
    """The gain in the family of the smallest base width less that in the largest one's."""
    bases = _families(table)
    if len(bases) < 2:
        return None
    nets = accuracies(table, ["base_width", "width"])
    narrow, wide = (gains(nets, base, base) for base in (bases[0], bases[-1]))
    return gain_less_gain(nets, narrow, wide)


def gain_on_the_hardest(table: pd.DataFrame) -> Evidence | None:
    """The gain on CIFAR-100 less the largest one on easier images, in the smallest family."""
    known = table[table["dataset"].isin(SMALL_IMAGES)]
    base = known["base_width"].min()
    nets = accuracies(known[known["base_width"] == base], ["dataset", "width"])
    easier = [
        Contrast(each.coefficients, f"{each.words} on {dataset}")
        for dataset in SMALL_IMAGES
        if dataset != HARDEST
        for each in gains(nets, dataset, base)
    ]
    hardest = [
        Contrast(each.coefficients, f"{each.words} on {HARDEST}")
        for each in gains(nets, HARDEST, base)
    ]
    return gain_less_gain(nets, hardest, easier)


def best_in_range(table: pd.DataFrame) -> Evidence | None:
    """The best net widened 3 to 10 times less the best of all others, in the smallest family."""
    base = table["base_width"].min()
    nets = accuracies(table[table["base_width"] == base], ["width"])
    low, high = (factor * base for factor in WIDENING)
    inside = [net for net in nets if low <= net <= high]
    outside = [net for net in nets if not low <= net <= high]
    if not inside or not outside:
        return None
    return best_less_best(nets, single(inside), single(outside))


def spread_of_best_connectivity(table: pd.DataFrame) -> Evidence | None:
    """Doublings of the connectivity between the best nets of the families, at most."""
    alike = table[table["base_width"] <= LARGEST_ALIKE]
    families = {base: alike[alike["base_width"] == base] for base in _families(alike)}
    if len(families) < 2:
        return None
    places = [_place_of_best_connectivity(rows) for rows in families.values()]
    if any(place is None for place in places):
        return None

    def interval(confidence: float) -> Interval:
        each = 1 - (1 - confidence) / len(families)
        found = [place(each) for place in places if place is not None]
        values = [place.value for place in found]
        return Interval(
            max(values) - min(values),
            max(0.0, max(place.low for place in found) - min(place.high for place in found)),
            max(place.high for place in found) - min(place.low for place in found),
        )

    words = f"families of base widths {', '.join(map(str, families))}"
    return Evidence(interval, accuracies(alike, ["base_width", "width"]).fewest_seeds(), words)


def falls_with_training(table: pd.DataFrame) -> Evidence | None:
    """Test accuracy at the width that fits the training images best less that at the widest."""
    family = table[table["base_width"] == table["base_width"].min()]
    trained, tested = accuracies(family, ["width"], TRAIN), accuracies(family, ["width"])
    widest = max(tested, default=None)
    if widest is None or trained.best() == widest:
        return None  # nothing falls yet

    def measure(width: Any) -> Evidence | None:
        if width == widest:
            return Evidence(lambda _: Interval(0.0, 0.0, 0.0), tested[width].seeds, "the widest")
        words = f"width {width} less width {widest}"
        return difference(tested, Contrast({width: 1.0, widest: -1.0}, words))

    return at_best(trained, measure, "the first of which fits its training images best")


def fits_its_images(table: pd.DataFrame) -> Evidence | None:
    """The best training accuracy in the family of the largest base width less 100%."""
    base = table["base_width"].max()
    if base < LARGE:
        return None
    nets = accuracies(table[table["base_width"] == base], ["width"], TRAIN)
    return best_less_best(nets, single(nets), number(100.0, "100%"))


def _families(table: pd.DataFrame) -> list[Any]:
    """The base widths of families with at least one wider net, the smallest first."""
    num_widths = table.groupby("base_width")["width"].nunique()
    return sorted(num_widths.index[num_widths > 1].tolist())


def _place_of_best_connectivity(rows: pd.DataFrame) -> Any:
    nets: Nets = accuracies(rows, ["width"])
    connectivity = rows.groupby("width")["connectivity"].first()
    return place_of_best(nets, lambda width: math.log2(float(connectivity[width])))


FIGURE_1 = for_each(
    PAPER_DATASETS,
    Claim(
        name="figure-1-{}",
        says="On {}, ResNet-18 gains from width at a fixed number of weights.",
        place="Section 2.3, Figure 1",
        quantity=GAIN,
        measure=gain,
        subject=Subject.WIDTH,
        above=0,
    ),
)

FIGURE_5 = (
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-5-narrow-{}",
            says="On {}, the gain is larger for narrower baselines.",
            place="Section 2.3 and 4, Figure 5",
            quantity=f"{ACCURACY}: gain of the smallest family less gain of the largest one",
            measure=gain_falls_with_base_width,
            subject=Subject.WIDTH,
            above=0,
        ),
    ),
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-5-fitting-{}",
            says="On {}, there is still a gain for nets that fit their training images.",
            place="Section 2.3, Figure 5",
            quantity=f"{GAIN}, in the family of the largest base width; fit: {FITTED}% or more",
            measure=gain_of_fitting,
            subject=Subject.WIDTH,
            above=0,
        ),
    ),
    Claim(
        name="figure-5-harder",
        says="Harder tasks gain more: CIFAR-100 more than CIFAR-10 and SVHN.",
        place="Section 2.3, Figure 5",
        quantity=f"{ACCURACY}, smallest family: gain on CIFAR-100 less the largest gain on easier "
        "images that have been run",
        measure=gain_on_the_hardest,
        subject=Subject.WIDTH,
        above=0,
    ),
)

FIGURE_11 = (
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-11-best-{}",
            says="On {}, the best net is 3 to 10 times wider, at a connectivity of 1 to 10%.",
            place="Section 4",
            quantity=f"{ACCURACY}, smallest family: best net of widening factors 3 to 10 less the "
            "best of all others",
            measure=best_in_range,
            subject=Subject.OPTIMUM,
            above=0,
        ),
    ),
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-11-alike-{}",
            says="On {}, families of up to 9e5 weights are best at a similar connectivity.",
            place="Appendix E, Figure 11",
            quantity="doublings of the connectivity between the best nets of these families, at "
            "most; similar: within two, a factor of about two in width",
            measure=spread_of_best_connectivity,
            subject=Subject.OPTIMUM,
            below=2,
            unit="doublings",
        ),
    ),
)

FIGURE_13 = (
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-13-{}",
            says="On {}, test accuracy falls where training accuracy falls.",
            place="Section 2.3, Figures 5 and 13",
            quantity=f"{ACCURACY}: at the width with the highest training accuracy less at the "
            "widest",
            measure=falls_with_training,
            subject=Subject.OPTIMUM,
            above=0,
        ),
    ),
    *for_each(
        SMALL_IMAGES,
        Claim(
            name="figure-13-fits-{}",
            says="On {}, large nets reach 100% on their training images.",
            place="Appendix E, Figure 13",
            quantity="training accuracy of the last epoch: best net of the largest family less "
            "100%; reached: within half a point",
            measure=fits_its_images,
            subject=Subject.WIDTH,
            above=-0.5,
        ),
    ),
)
