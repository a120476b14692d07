"""How long a user waits for the first training step of a net."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt
import pandas as pd
from torch import nn

from wider.bench import _chart
from wider.bench._peers import TrainingStep, random_images
from wider.bench._suite import MASKED, NATIVE, Case, Peer, Suite, in_fresh_process
from wider.charts import finish
from wider.drawing import Drawing, faceted, layered
from wider.families import Family
from wider.models import ResNet18
from wider.sparsity import sparsify, to_native

MOST_PROCESSES = 3
QUANTITIES = {
    "first_seconds": "first step, conversion included",
    "new_batch_seconds": "first step of another batch size",
    "next_seconds": "a later step",
}
BAR, PANEL = 26, 300  # pixels


@dataclass(frozen=True, kw_only=True)
class FirstStepSuite(Suite):
    """Peers in a process of its own each; their calls are `first_steps`.

    A row of its table has `repetitions` and the `QUANTITIES`, medians of three processes, or of as
    many as there are repetitions.
    """

    def rows(self, case: Case, *, threads: int, repetitions: int) -> list[dict[str, Any]]:
        """Measures the peers of a case: what was found, a row for each of them."""
        count = min(repetitions, MOST_PROCESSES)
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(count):  # in turn
            for peer in case.peers():
                used = peer.threads(threads)
                seconds = in_fresh_process(peer.run, used)
                found.setdefault(peer.name, []).append({"threads": used, **seconds})
        return [
            {"peer": name, "repetitions": count, **pd.DataFrame(rows).median()}
            for name, rows in found.items()
        ]

    def cells(self, table: pd.DataFrame) -> pd.DataFrame:
        """The part of a table that is worth printing, beside the case's columns, as text."""
        shown = {
            name.removesuffix("_seconds"): table[name].map("{:,.3f}".format) for name in QUANTITIES
        }
        return pd.DataFrame({"peer": table["peer"], **shown})

    def caption(self, table: pd.DataFrame) -> str:  # noqa: ARG002 - always the same
        """What the cells are, in a line."""
        return "seconds"

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """How much longer than for a masked net a user waits for a native one."""
        remarks = []
        for name, title in QUANTITIES.items():
            seconds = table.pivot(index=self.along, columns="peer", values=name)
            waits = (seconds[NATIVE] - seconds[MASKED]).map("{:+.2f} s".format)
            parts = ", ".join(f"{net} {wait}" for net, wait in waits.items())
            remarks.append(f"{title}, native against masked: {parts}")
        return remarks

    def draw(self, table: pd.DataFrame) -> Drawing:
        """A panel for each net, a bar for each quantity and peer."""
        first = table.iloc[0]
        long = table.melt(
            id_vars=[self.along, "peer"],
            value_vars=list(QUANTITIES),
            var_name="quantity",
            value_name="seconds",
        ).replace({"quantity": QUANTITIES})
        names = [NATIVE, MASKED]
        colours = [_chart.STYLES[name][0] for name in names]
        bars = alt.Chart(long).encode(
            x=alt.X("seconds:Q", title="seconds"),
            y=alt.Y("quantity:N", title=None, sort=list(QUANTITIES.values())),
            yOffset=alt.YOffset("peer:N", sort=names),
            color=alt.Color(
                "peer:N",
                scale=alt.Scale(domain=names, range=colours),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
        )
        numbers = bars.mark_text(align="left", dx=3).encode(
            text=alt.Text("seconds:Q", format=".2f")
        )
        panel = layered(bars.mark_bar(), numbers).properties(
            width=PANEL, height=BAR * 2 * len(QUANTITIES)
        )
        facet = alt.Facet(f"{self.along}:N", title=None)
        chart = faceted(panel, independent=["x"], facet=facet, columns=1)
        subtitle = [
            self.details,
            f"Median of {first.repetitions} processes; torch and wider are imported beforehand",
            f"{first.machine}; {int(first.threads)} thread; torch {first.torch}, {first.kernels}",
        ]
        return finish(chart, self.title, subtitle)


def first_steps(
    make_net: Callable[[], nn.Module], shape: Sequence[int], other_batch: int
) -> dict[str, float]:
    """The first steps of a net; for a process in which nothing else has happened.

    Args:
        make_net: makes the net, as it trains.
        shape: of a batch.
        other_batch: images in a batch of another size.

    Returns:
        {one of `QUANTITIES`: seconds}.
    """
    images, others = random_images(*shape), random_images(other_batch, *shape[1:])
    start = time.perf_counter()
    step = TrainingStep(make_net(), images)
    step()
    first = time.perf_counter() - start
    start = time.perf_counter()
    step()
    later = time.perf_counter() - start
    other = TrainingStep(step.net, others)
    start = time.perf_counter()
    other()
    return {
        "first_seconds": first,
        "next_seconds": later,
        "new_batch_seconds": time.perf_counter() - start,
    }


def suite(
    nets: Mapping[str, tuple[Callable[[], nn.Module], Sequence[int], int]],
) -> FirstStepSuite:
    """The wait for the first step of some nets.

    Args:
        nets: {name: what makes the masked net, the shape of a batch, another batch size}.
    """

    def peers(make_net: Callable[[], nn.Module], *sizes: Any) -> list[Peer]:
        ways = {NATIVE: partial(_native, make_net), MASKED: make_net}
        return [Peer(name, partial(first_steps, way, *sizes)) for name, way in ways.items()]

    return FirstStepSuite(
        name="first-step",
        title="The wait for the first training step",
        details="SGD with momentum and weight decay, random inputs",
        along="net",
        cases=[Case({"net": name}, partial(peers, *own)) for name, own in nets.items()],
    )


def _native(make_net: Callable[[], nn.Module]) -> nn.Module:
    return to_native(make_net())


def _small_cnn() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))
    return sparsify(net, num_weights=10_000, seed=0)


def _resnet() -> nn.Module:
    return Family(ResNet18, base_width=8).sparse(64)


def _block() -> nn.Module:
    net = nn.Sequential(nn.Linear(768, 3072), nn.GELU(), nn.Linear(3072, 768))
    return sparsify(net, num_weights=round(0.05 * 2 * 768 * 3072), seed=0)


FIRST_STEP = suite(
    {
        "CNN of three convolutions, 10,000 weights": (_small_cnn, (64, 3, 32, 32), 50),
        "ResNet-18, width 64, 175,192 weights": (_resnet, (128, 3, 32, 32), 100),
        "block 768-3072-768, connectivity .05": (_block, (512, 768), 300),
    }
)
