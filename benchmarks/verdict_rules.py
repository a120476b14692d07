"""How often rules for "the best of several nets beats the baseline" are wrong, and how often right.

Writes the numbers of docs/verdicts.md: `python benchmarks/verdict_rules.py` (a minute on one core).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import stdtrit

RESULTS = Path(__file__).parents[1] / "results"
STUDIES = 40_000
RISK = 0.025  # of each word
SEEDS = (3, 5, 10)
COLLAPSED = 30.0  # deviations that a run loses when its training collapses

Studies = Float[np.ndarray, "studies seeds nets"]
"""Values; the first net is the baseline."""
Words = Bool[np.ndarray, " studies"]


def split(values: Studies) -> Words:
    """The first half of the seeds picks the best net, the others measure it, paired by seed."""
    half = max(1, values.shape[1] // 2)
    best = 1 + values[:, :half, 1:].mean(1).argmax(-1)
    picked = np.take_along_axis(values[:, half:], best[:, None, None], -1)[..., 0]
    return _lows(picked - values[:, half:, 0], RISK) > 0


def paired(values: Studies) -> Words:
    """A t-interval of each net's difference, paired by seed; Bonferroni over the nets."""
    gains = np.moveaxis(values[..., 1:] - values[..., :1], -1, 0)
    lows = np.array([_lows(each, RISK / len(gains)) for each in gains])
    return np.any(lows > 0, axis=0)


def welch(values: Studies) -> Words:
    """Welch's interval of each net's difference; Bonferroni over the nets. The rule of wider."""
    return _of_means(values, *_own_variances(values))


def pooled(values: Studies) -> Words:
    """One deviation for all nets, as in Dunnett's test; Bonferroni over the nets."""
    seeds, nets = values.shape[1:]
    variance = values.var(1, ddof=1).mean(-1, keepdims=True) / seeds
    degrees = np.full_like(variance, nets * (seeds - 1))
    return _of_means(values, 2 * variance, degrees)


def half_pooled(values: Studies) -> Words:
    """One deviation for the wider nets, another for the baseline; Bonferroni over the nets."""
    seeds, nets = values.shape[1:]
    variances = values.var(1, ddof=1) / seeds
    base, wide = variances[:, :1], variances[:, 1:].mean(-1, keepdims=True)
    return _of_means(values, base + wide, _degrees(base, seeds - 1, wide, (nets - 1) * (seeds - 1)))


RULES: Mapping[str, Callable[[Studies], Words]] = {
    "split": split,
    "paired": paired,
    "Welch": welch,
    "pooled": pooled,
    "half pooled": half_pooled,
}


def _own_variances(values: Studies) -> tuple[np.ndarray, np.ndarray]:
    seeds = values.shape[1]
    variances = values.var(1, ddof=1) / seeds
    base, wide = variances[:, :1], variances[:, 1:]
    return base + wide, _degrees(base, seeds - 1, wide, seeds - 1)


def _degrees(one: np.ndarray, of_one: int, other: np.ndarray, of_other: int) -> np.ndarray:
    """Satterthwaite's, of a sum of two variances."""
    return (one + other) ** 2 / (one**2 / of_one + other**2 / of_other)


def _of_means(values: Studies, squared_errors: np.ndarray, degrees: np.ndarray) -> Words:
    means = values.mean(1)
    gains = means[:, 1:] - means[:, :1]
    quantile = -stdtrit(degrees, RISK / gains.shape[-1])
    return (gains - quantile * np.sqrt(squared_errors) > 0).any(-1)


def _lows(differences: Float[np.ndarray, "studies seeds"], risk: float) -> np.ndarray:
    seeds = differences.shape[1]
    errors = differences.std(1, ddof=1) / np.sqrt(seeds)
    return differences.mean(1) + stdtrit(seeds - 1, risk) * errors


@dataclass(frozen=True)
class World:
    """What is true.

    Attributes:
        words: for the table.
        gains: of the wider nets, in deviations of one run over seeds.
        deviations: of the baseline and of the widest net, where those of all others are 1.
        collapse: how often a run of any net collapses.
    """

    words: str
    gains: Sequence[float]
    deviations: tuple[float, float] = (1.0, 1.0)
    collapse: float = 0.0

    def studies(self, num_seeds: int) -> Studies:
        """Many studies of it."""
        generator = np.random.default_rng(num_seeds)
        size = (STUDIES, num_seeds, 1 + len(self.gains))
        deviations = np.ones(size[-1])
        deviations[[0, -1]] = self.deviations
        values = generator.standard_normal(size) * deviations + np.array([0.0, *self.gains])
        return values - COLLAPSED * (generator.random(size) < self.collapse)


NOTHING, CURVE = (0.0,) * 6, (3.0, 6.0, 8.0, 7.0, 4.0, -2.0)
WORLDS = {
    "Level: no net gains, and the word is wrong": [
        World("six nets, equal deviations", NOTHING),
        World("six nets, the baseline's deviation 3 times the others'", NOTHING, (3, 1)),
        World("six nets, the widest one's deviation 3 times the others'", NOTHING, (1, 3)),
        World("six nets, one run in ten collapses", NOTHING, collapse=0.1),
        World("one net, equal deviations", (0.0,)),
        World("one net, its deviation 3 times the baseline's", (0.0,), (1, 3)),
    ],
    "Power: the word is right": [
        World("gains +3, 6, 8, 7, 4, -2", CURVE),
        World("the same, the baseline's deviation 3 times the others'", CURVE, (3, 1)),
        World("the same, the widest one's deviation 3 times the others'", CURVE, (1, 3)),
        World("the same, one run in ten collapses", CURVE, collapse=0.1),
        World("one net of six gains 5", (0, 0, 5, 0, 0, 0)),
        World("one net, gain 5", (5.0,)),
    ],
}


def uncorrected() -> float:
    """How often the best of seven nets that gain nothing has p < .05, paired, with ten seeds."""
    values = World("", (0.0,) * 7).studies(10)
    best = 1 + values[..., 1:].mean(1).argmax(-1)
    picked = np.take_along_axis(values, best[:, None, None], -1)[..., 0]
    return float((_lows(picked - values[..., 0], RISK) > 0).mean())


def correlation_over_seeds() -> float:
    """The mean correlation between two widths of Figure 4's ReLU nets, last layer dense."""
    table = pd.read_csv(RESULTS / "figure-4-paper.csv")
    nets = table[(table["activation"] == "relu") & (table["output_connectivity"] == 1)]
    between = nets.pivot_table(index="seed", columns="width", values="best_test_accuracy").corr()
    return float(between.to_numpy()[np.triu_indices(len(between), 1)].mean())


def main() -> None:
    """Prints the tables as Markdown, in percent of the studies."""
    print(f"The best of seven that gain nothing, uncorrected: {uncorrected():.1%}")
    print(f"Correlation over seeds between widths of Figure 4: {correlation_over_seeds():.2f}")
    for title, worlds in WORLDS.items():
        print(f"\n| {title} | seeds | {' | '.join(RULES)} |")
        print(f"|---|---|{'---|' * len(RULES)}")
        for world in worlds:
            for num_seeds in SEEDS:
                values = world.studies(num_seeds)
                shares = [f"{100 * rule(values).mean():.1f}" for rule in RULES.values()]
                name = world.words if num_seeds == SEEDS[0] else ""
                print(f"| {name} | {num_seeds} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
