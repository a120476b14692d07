"""What the paper says of the three ways to widen, checked in an MLP."""

import math

import pandas as pd

from wider.evidence import Claim, Evidence, Measure, best_less_best
from wider.study._claims import Subject, accuracies, best_gain, single
from wider.study._lines import with_baselines

LAST_EPOCH = "final_test_accuracy"
PLACE = "Section 1.1"
BOTTLENECKS = ("linear_bottleneck", "nonlinear_bottleneck")


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
