"""Differences of nets that stay honest when the nets were picked by the same runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from wider.evidence._interval import Evidence, Interval
from wider.evidence._means import Nets
from wider.intervals import t_margin

FEWEST_POINTS = 3  # of a curve, for there to be a place where it is highest

UNKNOWN = Interval(np.nan, -np.inf, np.inf)


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of the means of nets.

    Attributes:
        coefficients: of each net.
        words: what it is.
        plus: a number that is added, such as what the paper printed, with a minus.
    """

    coefficients: Mapping[Any, float]
    words: str
    plus: float = 0.0


@dataclass(frozen=True)
class Differences:
    """Contrasts between nets, each with its standard error and degrees of freedom.

    Every net's seeds are taken as independent, and every net has a deviation of its own, so that
    the degrees of freedom are those of Welch and Satterthwaite.
    """

    value: Float[np.ndarray, "..."]
    error: Float[np.ndarray, "..."]
    degrees: Float[np.ndarray, "..."]

    def low(self, risk: float) -> Float[np.ndarray, "..."]:
        """What each is above, but for a one-sided risk; minus infinity where one seed is all."""
        return self.value - t_margin(self.error, self.degrees, risk)

    def high(self, risk: float) -> Float[np.ndarray, "..."]:
        """What each is below, but for a one-sided risk."""
        return self.value + t_margin(self.error, self.degrees, risk)


def differences(
    nets: Nets, coefficients: Float[np.ndarray, "*contrasts nets"], plus: Any = 0.0
) -> Differences:
    """Contrasts of nets, in the order in which `nets` has them.

    Source:
        Welch, The generalization of "Student's" problem when several different population
        variances are involved, Biometrika, 1947.
    """
    means, variances, seeds = np.array([nets[net] for net in nets], dtype=float).T
    # A net that does not take part may lack a variance.
    parts = np.where(coefficients == 0, 0.0, coefficients**2 * variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = parts.sum(-1)
        freedom = np.where(coefficients == 0, 0.0, parts**2 / (seeds - 1)).sum(-1)
        degrees = squared**2 / freedom
    return Differences(coefficients @ means + plus, np.sqrt(squared), degrees)


def best_less_best(nets: Nets, ours: Sequence[Contrast], theirs: Sequence[Contrast]) -> Evidence:
    """The largest of some contrasts less the largest of others.

    Whoever picks the best of many and measures it by the same runs measures luck as well. So the
    interval holds for every candidate at once. With risk r on each side and Bonferroni over the
    candidates, its lower end is max over ours of min over theirs of the lower ends of single
    differences with risk r / |ours|: only the comparison with their true best has to be right for
    each of ours. Its upper end is the mirror image, with risk r / |theirs|.

    Args:
        nets: all that take part.
        ours: candidates, at least one.
        theirs: what they are held against, at least one; a single one costs nothing.
    """
    index = {net: place for place, net in enumerate(nets)}
    first, second = (_matrix(each, index) for each in (ours, theirs))
    offsets = [np.array([contrast.plus for contrast in each]) for each in (ours, theirs)]
    pairs = differences(nets, first[:, None] - second[None], offsets[0][:, None] - offsets[1][None])
    best, rival = pairs.value.min(1).argmax(), pairs.value.max(0).argmin()

    def interval(confidence: float) -> Interval:
        risk = (1 - confidence) / 2
        low = pairs.low(risk / len(ours)).min(1).max()
        high = pairs.high(risk / len(theirs)).max(0).min()
        return Interval(float(pairs.value[best, rival]), float(low), float(high))

    taken = [*ours[best].coefficients, *theirs[rival].coefficients]
    words = _of(ours, best)
    if theirs[rival].words:
        words = f"{words} less {_of(theirs, rival)}"
    return Evidence(interval, min(nets[net].seeds for net in taken), words)


def difference(nets: Nets, contrast: Contrast) -> Evidence | None:
    """A difference of nets that the question itself names.

    Args:
        nets: of which those of the contrast take part.
        contrast: what is compared.

    Returns:
        The evidence, or None where one of its nets is missing.
    """
    if not set(contrast.coefficients) <= set(nets):
        return None
    return best_less_best(nets, [contrast], [Contrast({}, "")])


def may_be_best(nets: Nets, risk: float) -> list[Any]:
    """The nets of which none other is surely better; all but a risk, the truly best is among them.

    Args:
        nets: to choose from.
        risk: that the best one is left out.

    Source:
        Gupta, On some multiple decision (selection and ranking) rules, Technometrics, 1965.
    """
    every = list(nets)
    if len(every) == 1:
        return every
    identity = np.eye(len(every))
    pairs = differences(nets, identity[:, None] - identity[None])
    low = np.where(identity == 1, -np.inf, pairs.low(risk / (len(every) - 1)))
    return [
        net for net, is_beaten in zip(every, np.any(low > 0, axis=0), strict=True) if not is_beaten
    ]


def at_best(
    chosen_by: Nets, measure: Callable[[Any], Evidence | None], words: str
) -> Evidence | None:
    """What is measured at the net with the largest mean of something else.

    Half of the risk is for the choice: the interval spans those of all nets that may be the best.

    Args:
        chosen_by: the nets to choose from, with the means that choose.
        measure: from a net to what is measured there; None where it cannot be.
        words: what chooses, such as "which fits the training images best".
    """
    measured = cache(measure)
    at_the_best = measured(chosen_by.best())
    if at_the_best is None:
        return None

    def interval(confidence: float) -> Interval:
        half = (1 - confidence) / 2
        found = [measured(net) for net in may_be_best(chosen_by, half)]
        ends = [each.interval(1 - half) if each else UNKNOWN for each in found]
        return Interval(
            at_the_best.effect.value,
            min(end.low for end in ends),
            max(end.high for end in ends),
        )

    return Evidence(interval, at_the_best.seeds, f"{at_the_best.compared}, {words}")


def place_of_best(nets: Nets, place: Callable[[Any], float]) -> Callable[[float], Interval] | None:
    """The place of the best net, as well as a grid can tell.

    A net of the grid stands for the places that are nearer to it than to its neighbours, and an end
    of the grid for nothing beyond it. The interval spans what the nets stand for that may be the
    best: it is never narrower than the grid.

    Args:
        nets: of the grid.
        place: of a net, such as the logarithm of its width.

    Returns:
        From a confidence to the interval; None for a grid of fewer than three nets.
    """
    if len(nets) < FEWEST_POINTS:
        return None
    places = np.array(sorted(place(net) for net in nets))
    borders = np.concatenate([places[:1], (places[:-1] + places[1:]) / 2, places[-1:]])

    def interval(confidence: float) -> Interval:
        candidates = [place(net) for net in may_be_best(nets, 1 - confidence)]
        low = borders[np.searchsorted(places, min(candidates))]
        high = borders[np.searchsorted(places, max(candidates)) + 1]
        return Interval(place(nets.best()), float(low), float(high))

    return interval


def _matrix(
    contrasts: Sequence[Contrast], index: Mapping[Any, int]
) -> Float[np.ndarray, "contrasts nets"]:
    matrix = np.zeros((len(contrasts), len(index)))
    for row, contrast in zip(matrix, contrasts, strict=True):
        for net, coefficient in contrast.coefficients.items():
            row[index[net]] += coefficient
    return matrix


def _of(contrasts: Sequence[Contrast], chosen: Any) -> str:
    words = contrasts[chosen].words
    return words if len(contrasts) == 1 else f"{words} (best of {len(contrasts)})"
