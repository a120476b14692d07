"""Suites that weigh their peers: the memory of training, each in a process of its own."""

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
from torch import Tensor, nn

from wider.bench import _chart
from wider.bench._chart import as_factor
from wider.bench._peers import TrainingStep, random_images
from wider.bench._suite import NATIVE, Case, Suite, in_fresh_process
from wider.drawing import Drawing

MOST_PROCESSES = 3
WARM_UP_BATCH = 16
MEGABYTE = 2**20
QUANTITIES = {
    "parameter_bytes": "weights, with masks or places",
    "optimiser_bytes": "gradients and momentum",
    "file_bytes": "safetensors file",
    "peak_bytes": "peak of a training step, all in all",
}

# What the operating system keeps about a process; only Linux lets a process forget its peak.
STATUS, FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class MemorySuite(Suite):
    """Peers on the scales, each in a fresh process; their calls are `training_memory`.

    A row of its table has `repetitions`, the `QUANTITIES`, and the lowest and highest peak,
    `peak_bytes_lower` and `peak_bytes_upper`. The peak, the only one that differs from process to
    process, is the median of three processes, or of as many as there are repetitions.
    """

    def rows(self, case: Case, *, threads: int, repetitions: int) -> list[dict[str, Any]]:
        """Measures the peers of a case: what was found, a row for each of them."""
        count = min(repetitions, MOST_PROCESSES)
        rows = []
        for peer in case.peers():
            used = peer.threads(threads)
            found = pd.DataFrame([in_fresh_process(peer.run, used) for _ in range(count)])
            row = {
                "peer": peer.name,
                "threads": used,
                "repetitions": count,
                **found.median(),
                "peak_bytes_lower": found["peak_bytes"].min(),
                "peak_bytes_upper": found["peak_bytes"].max(),
            }
            rows.append(row)
        return rows

    def cells(self, table: pd.DataFrame) -> pd.DataFrame:
        """The part of a table that is worth printing, beside the case's columns, as text."""
        sizes = {
            name.removesuffix("_bytes"): table[name].div(MEGABYTE).map("{:,.2f}".format)
            for name in QUANTITIES
        }
        return pd.DataFrame({"peer": table["peer"], **sizes})

    def caption(self, table: pd.DataFrame) -> str:  # noqa: ARG002 - always the same
        """What the cells are, in a line."""
        return "megabytes (2**20 bytes)"

    def draw(self, table: pd.DataFrame) -> Drawing:
        """A panel for each quantity, all axes logarithmic."""
        first = table.iloc[0]
        panels = [
            _chart.Panel(title, _points(table, self.along, name))
            for name, title in QUANTITIES.items()
            if table[name].notna().all()
        ]
        return _chart.draw(
            panels,
            title=self.title,
            subtitle=[
                self.details,
                "Each peer in a process of its own; peak without the code that was loaded",
                f"{first.machine}; torch {first.torch}, {first.kernels}",
            ],
            x_title=self.along.replace("_", " "),
            y_title="megabytes",
        )

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """How much more the others take than native."""
        remarks = []
        for name, title in QUANTITIES.items():
            sizes = table.pivot_table(index=self.along, columns="peer", values=name)
            for other in sizes.columns.drop(NATIVE):
                ratios = ", ".join((sizes[other] / sizes[NATIVE]).map(as_factor))
                positions = ", ".join(f"{position:.4g}" for position in sizes.index)
                remarks.append(f"{title}: {other} / native: {ratios} at {self.along} {positions}")
        return remarks


def training_memory(
    make_net: Callable[[], nn.Module], make_small: Callable[[], nn.Module], shape: Sequence[int]
) -> dict[str, float]:
    """What training a net takes; for a process in which nothing else has happened.

    Args:
        make_net: makes the net.
        make_small: makes a small one that needs the same code, which is loaded and compiled with
            it, so that code is not counted.
        shape: of a batch of images.

    Returns:
        {one of `QUANTITIES`: bytes}: of parameters and buffers, of gradients and the optimiser's
        state, of the state dict as a file, and the most that two training steps had in memory,
        all of these and feature maps included. The last is not a number where the operating
        system is not Linux.
    """
    warm_up = TrainingStep(make_small(), random_images(WARM_UP_BATCH, *shape[1:]))
    for _ in range(2):
        warm_up()
    del warm_up
    gc.collect()
    before = _resident_bytes("VmRSS")
    step = TrainingStep(make_net(), random_images(*shape))
    _forget_peak()
    for _ in range(2):  # the first step makes the optimiser's state
        step()
    peak = _resident_bytes("VmHWM") - before
    state = step.net.state_dict()
    slopes = [parameter.grad for parameter in step.net.parameters()]
    kept = [value for entry in step.optimiser.state.values() for value in entry.values()]
    return {
        "parameter_bytes": _num_bytes(state.values()),
        "optimiser_bytes": _num_bytes([*slopes, *kept]),
        "file_bytes": len(safetensors.torch.save(state)),
        "peak_bytes": peak,
    }


def _resident_bytes(field: str) -> float:
    if not STATUS.exists():
        return math.nan
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def _forget_peak() -> None:
    if FORGET_PEAK.exists():
        FORGET_PEAK.write_text("5", encoding="utf-8")


def _num_bytes(tensors: Any) -> int:
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))


def _points(table: pd.DataFrame, along: str, quantity: str) -> pd.DataFrame:
    size = table[quantity] / MEGABYTE
    points = table.assign(x=table[along], y=size, lower=size, upper=size)
    if quantity == "peak_bytes":
        for end in ("lower", "upper"):
            points[end] = table[f"{quantity}_{end}"] / MEGABYTE
    return points
