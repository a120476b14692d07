"""What the paper says of the MLP on MNIST."""

from collections.abc import Collection

import pandas as pd

from wider.evidence import Claim, Evidence, Measure, Nets, best_less_best
from wider.models import Activation
from wider.study._claims import Subject, accuracies, best_gain, number, single

BASE_WIDTH = 5
WIDTHS = (5, 10, 20, 40, 80, 160, 320)  # that leave the last layer dense
BEST_WIDTHS = (80, 160)
HIGH = 0.8  # connectivity of the last layer, above which the paper has its optimum
MARGIN = 0.3  # points, about twice the deviation of one run over seeds
ACCURACY = "test accuracy of the best epoch, last layer dense"


def gain(activation: Activation) -> Measure:
    """The best sparse net less the dense baseline."""

    def measure(table: pd.DataFrame) -> Evidence | None:
        nets = _nets(table, activation)
        return None if nets is None else best_gain(nets)

    return measure


def optimum(activation: Activation, widths: Collection[int]) -> Measure:
    """The best net of some widths less the best one of all others."""

    def measure(table: pd.DataFrame) -> Evidence | None:
        nets = _nets(table, activation)
        if nets is None:
            return None
        others = [width for width in nets if width not in widths]
        return best_less_best(nets, single(widths), single(others))

    return measure


def level(activation: Activation, paper: float, widths: Collection[int]) -> Measure:
    """The best net of some widths less the paper's accuracy."""

    def measure(table: pd.DataFrame) -> Evidence | None:
        nets = _nets(table, activation)
        if nets is None:
            return None
        return best_less_best(nets, single(widths), number(100 * paper, f"the paper's {paper:.1%}"))

    return measure


def last_layer(table: pd.DataFrame) -> Evidence | None:
    """At the best widths, the best net with most of its last layer less the best with less."""
    cells = table[(table["activation"] == "relu") & table["width"].isin(BEST_WIDTHS)]
    cells = cells.assign(output=cells["output_connectivity"].round(1))
    nets = accuracies(cells, ["width", "output"])
    high = [net for net in nets if net[1] > HIGH]
    low = [net for net in nets if net[1] <= HIGH]
    if not high or not low:
        return None

    def words(net: tuple[int, float]) -> str:
        return f"width {net[0]}, last layer {net[1]:g}"

    return best_less_best(nets, single(high, words), single(low, words))


def _nets(table: pd.DataFrame, activation: Activation) -> Nets | None:
    """Nets with a dense last layer, by width; None where one has not been run."""
    wanted = (table["activation"] == activation) & (table["output_connectivity"] == 1)
    nets = accuracies(table[wanted], ["width"])
    return nets if set(WIDTHS) <= set(nets) else None


CLAIMS = (
    Claim(
        name="figure-4-relu-gain",
        says="At equal weights, a wide and sparse ReLU MLP beats the dense one.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best sparse net less the dense baseline",
        measure=gain("relu"),
        subject=Subject.WIDTH,
        above=0,
    ),
    Claim(
        name="figure-4-linear-gain",
        says="A linear MLP gains from width, too, though it can express no more.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best sparse linear net less the dense baseline",
        measure=gain("identity"),
        subject=Subject.WIDTH,
        above=0,
    ),
    Claim(
        name="figure-4-relu-level",
        says="At its best width the ReLU MLP reaches 96.3%.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: best net of width 80 or 160 less 96.3%",
        measure=level("relu", 0.963, BEST_WIDTHS),
        subject=Subject.WIDTH,
        above=-MARGIN,
        below=MARGIN,
    ),
    Claim(
        name="figure-4-linear-level",
        says="At its best width the linear MLP reaches 92.7%.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: best linear net of width 40 less 92.7%",
        measure=level("identity", 0.927, (40,)),
        subject=Subject.WIDTH,
        above=-MARGIN,
        below=MARGIN,
    ),
    Claim(
        name="figure-4-relu-baseline",
        says="The dense ReLU net with the same number of weights reaches about 90%.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: dense net of width 5 less 90%; about: within one point",
        measure=level("relu", 0.90, (BASE_WIDTH,)),
        subject=Subject.WIDTH,
        above=-1,
        below=1,
    ),
    Claim(
        name="figure-4-linear-baseline",
        says="The dense linear net with the same number of weights reaches about 90%.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: dense linear net of width 5 less 90%; about: within one point",
        measure=level("identity", 0.90, (BASE_WIDTH,)),
        subject=Subject.WIDTH,
        above=-1,
        below=1,
    ),
    Claim(
        name="figure-4-relu-optimum",
        says="The ReLU MLP is best at connectivity .06 or .03, which is width 80 or 160.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: best net of these widths less the best of any other",
        measure=optimum("relu", BEST_WIDTHS),
        subject=Subject.OPTIMUM,
        above=0,
    ),
    Claim(
        name="figure-4-linear-optimum",
        says="The linear MLP is best near connectivity .13, which is width 40.",
        place="Appendix A, Figure 4",
        quantity=f"{ACCURACY}: best linear net of width 40 less the best of any other width",
        measure=optimum("identity", (40,)),
        subject=Subject.OPTIMUM,
        above=0,
    ),
    Claim(
        name="figure-4-last-layer",
        says="At the optimum the last layer keeps more than .8 of its weights.",
        place="Section 2.3, Figure 4",
        quantity="test accuracy of the best epoch, ReLU, widths 80 and 160: best net with a last "
        f"layer above {HIGH} less the best of all others",
        measure=last_layer,
        subject=Subject.SPREAD,
        above=0,
    ),
)
