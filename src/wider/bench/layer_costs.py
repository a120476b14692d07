"""Layers of many shapes, natively and in PyTorch: what the model of their costs is fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import altair as alt
import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls
from torch import nn

from wider.bench._peers import both_passes, random_images
from wider.bench._suite import MASKED, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.charts import BLUE, finish
from wider.drawing import Drawing, layered
from wider.native import NativeConv2d, cost
from wider.native.cost import Coefficients, Work
from wider.sparsity import WORTH, native_layer, sparsify

CONNECTIVITIES = (0.03, 0.1, 0.3, 0.6, 1.0)
LINEAR = (  # inputs, outputs, rows
    (784, 80, 100), (784, 640, 100), (80, 10, 100), (256, 256, 128), (1024, 1024, 128),
    (512, 2048, 512), (768, 768, 16), (784, 4096, 5),
)  # fmt: skip
CONVOLUTIONS = (  # channels in and out, kernel, stride, side, images
    (3, 64, 3, 1, 32, 32), (3, 16, 7, 2, 32, 32), (32, 32, 3, 1, 32, 32), (64, 64, 3, 1, 16, 64),
    (128, 128, 3, 1, 8, 64), (256, 256, 3, 1, 4, 64), (64, 128, 3, 2, 16, 32),
    (64, 128, 1, 2, 16, 64), (64, 64, 1, 1, 16, 64), (96, 24, 1, 1, 14, 32), (40, 240, 1, 1, 7, 32),
    (64, 16, 1, 1, 1, 32), (240, 64, 1, 1, 1, 16), (32, 32, 3, 1, 32, 1), (64, 64, 3, 1, 14, 1),
    (64, 64, 1, 1, 7, 1), (128, 128, 3, 1, 8, 8), (64, 128, 1, 2, 32, 16), (128, 256, 1, 2, 8, 64),
    (32, 64, 3, 2, 32, 16),
)  # fmt: skip
SIZE = 420  # pixels of the chart


@dataclass(frozen=True, kw_only=True)
class CostSuite(TimeSuite):
    """A time suite whose remarks are the coefficients of `wider.native.cost` that fit it.

    Attributes:
        works: of each case, by its columns' values.
    """

    works: dict[tuple, Work]

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """The coefficients that fit this table, and what those in use would decide."""
        pairs = self._pairs(table)
        threads = int(table["threads"].max())
        fitted = fit(pairs, threads)
        lines = [f"fitted: {kind}: {found}" for kind, found in fitted.items()]
        is_faster = np.array([native < torch for _, native, torch in pairs])
        chosen = np.array([cost.native_ratio(work, threads) < WORTH for work, *_ in pairs])
        best, taken = (
            sum(
                native if one else torch
                for one, (_, native, torch) in zip(which, pairs, strict=True)
            )
            for which in (is_faster, chosen)
        )
        lost = max(
            (native if one else torch) / min(native, torch)
            for one, (_, native, torch) in zip(chosen, pairs, strict=True)
        )
        agree = int((is_faster == chosen).sum())
        return [
            *lines,
            f"the coefficients in use choose the faster one in {agree} of {len(pairs)} layers; "
            f"with them all take {taken / best:.3f} times what the faster ones do, and one at most "
            f"{lost:.2f} times",
        ]

    def draw(self, table: pd.DataFrame) -> Drawing:
        """Ratios as predicted by the coefficients in use, over ratios as measured."""
        threads = int(table["threads"].max())
        points = pd.DataFrame(
            [
                {
                    "kind": cost.kind_of(work),
                    "measured": native / in_torch,
                    "predicted": cost.native_ratio(work, threads),
                }
                for work, native, in_torch in self._pairs(table)
            ]
        )
        ends = [
            points[["measured", "predicted"]].min().min(),
            points[["measured", "predicted"]].max().max(),
        ]
        scale = alt.Scale(type="log", domain=ends, nice=False, padding=10)
        dots = (
            alt.Chart(points)
            .mark_point(filled=True, opacity=0.7)
            .encode(
                x=alt.X("measured:Q", title="native / PyTorch, measured", scale=scale),
                y=alt.Y("predicted:Q", title="native / PyTorch, predicted", scale=scale),
                shape=alt.Shape("kind:N", legend=alt.Legend(title=None, orient="bottom")),
                color=alt.value(BLUE),
            )
        )
        equal = alt.Chart(pd.DataFrame({"one": [1.0]})).mark_rule(strokeDash=[5, 4])
        lines = equal.encode(x="one:Q"), equal.encode(y="one:Q")
        chart = layered(*lines, dots).properties(width=SIZE, height=SIZE)
        first = table.iloc[0]
        subtitle = [
            f"{self.details}; predicted by the coefficients in use; a dot for each layer",
            f"Medians of {first.repetitions}; layers of which all weights are kept have no mask",
            self._subtitle(table)[-1],  # where it was measured
        ]
        return finish(chart, self.title, subtitle)

    def _pairs(self, table: pd.DataFrame) -> list[tuple[Work, float, float]]:
        """Each layer with its seconds, natively and in PyTorch."""
        keys = ["layer", "images", "connectivity"]
        seconds = table.pivot_table(index=keys, columns="peer", values="seconds", sort=False)
        keys_and_rows = zip(seconds.index.tolist(), seconds.to_dict("records"), strict=True)
        return [(self.works[key], row[NATIVE], row[MASKED]) for key, row in keys_and_rows]


def fit(measured: Sequence[tuple[Work, float, float]], threads: int) -> dict[str, Coefficients]:
    """The coefficients, none below zero, with the smallest squares of relative errors.

    Args:
        measured: layers with their seconds, natively and in PyTorch.
        threads: that were used.

    Returns:
        {kind: coefficients}, of the kinds that were measured.
    """
    found = {}
    for kind in dict.fromkeys(cost.kind_of(work) for work, *_ in measured):
        own = [each for each in measured if cost.kind_of(each[0]) == kind]
        sides = []
        for number, counts in enumerate((cost.native_counts, cost.torch_counts), 1):
            seconds = np.array([each[number] for each in own])
            rows = np.array([counts(each[0], threads) for each in own]) / seconds[:, None]
            scale = rows.max(0)
            scale[scale == 0] = 1
            solution, _ = nnls(rows / scale, np.ones(len(own)))
            sides.append(tuple(float(f"{value:.3g}") for value in solution / scale))
        found[kind] = Coefficients(*sides)
    return found


def suite(
    linear: Sequence[tuple[int, int, int]] = LINEAR,
    convolutions: Sequence[tuple[int, int, int, int, int, int]] = CONVOLUTIONS,
    connectivities: Sequence[float] = CONNECTIVITIES,
) -> CostSuite:
    """Layers of many shapes at several connectivities.

    Args:
        linear: inputs, outputs, rows of each.
        convolutions: channels in and out, kernel, stride, side and images of each.
        connectivities: of each; PyTorch's layer has no mask at 1.
    """
    works = {}
    for connectivity in connectivities:
        for inputs, outputs, rows in linear:
            if connectivity < 1:  # a linear layer without a mask stays PyTorch's
                work = Work((outputs, inputs), _kept(outputs * inputs, connectivity), rows)
                works[f"{inputs} to {outputs}", rows, connectivity] = work
        for in_, out, kernel, stride, side, images in convolutions:
            name = f"{kernel}x{kernel}, {in_} to {out} channels, {side}x{side}"
            name += f", stride {stride}" if stride > 1 else ""
            works[name, images, connectivity] = Work(
                (out, in_, kernel, kernel),
                _kept(out * in_ * kernel * kernel, connectivity),
                images,
                (side, side),
                (stride, stride),
                (kernel // 2, kernel // 2),
            )
    cases = [
        Case(
            dict(zip(("layer", "images", "connectivity"), key, strict=True)),
            partial(_peers, work),
        )
        for key, work in works.items()
    ]
    return CostSuite(
        name="layer-costs",
        title="Layers of many shapes forward and backward: the model of their costs",
        details="A layer alone, gradients of the input too",
        unit="step",
        along="connectivity",
        panel="layer",
        cases=cases,
        rivals=(MASKED,),
        works=works,
    )


def _kept(num_weights: int, connectivity: float) -> int:
    return max(1, round(num_weights * connectivity))


def _peers(work: Work) -> list[Peer]:
    out, in_ = work.shape[:2]
    if cost.kind_of(work) == "linear":
        plain: nn.Module = nn.Linear(in_, out)
        shapes = (work.images, in_), (work.images, out)
    else:
        plain = nn.Conv2d(in_, out, work.kernel, work.stride, work.padding)
        shapes = (work.images, in_, *work.image), (work.images, out, *work.output)
    images, slope = (random_images(*shape) for shape in shapes)
    native: nn.Module | None = NativeConv2d(in_, out, work.kernel, work.stride, work.padding)
    if work.num_weights < torch.Size(work.shape).numel():
        native = native_layer(sparsify(plain, num_weights=work.num_weights))
    assert native is not None
    return [
        Peer(NATIVE, both_passes(native, images, slope)),
        Peer(MASKED, both_passes(plain, images, slope)),
    ]


LAYER_COSTS = suite()
