"""What is said and drawn of made-up tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from wider.bench import MemorySuite, TimeSuite

CONNECTIVITIES = (0.01, 0.1, 1.0)
SUITE = TimeSuite(
    name="made-up",
    title="Made up",
    details="nothing",
    unit="step",
    along="connectivity",
    cases=[],
    rivals=("dense PyTorch", "dense channels last"),
    panel="layer",
    note="a note",
    has_break_even=True,
)


def made_up(*, slowest: float = 0.016) -> pd.DataFrame:
    """Native takes seconds in proportion to connectivity, the better dense layout a constant."""
    rows = [
        {"layer": layer, "connectivity": connectivity, "peer": name, "seconds": seconds}
        for layer, slowness in (("narrow", 1), ("wide", 10))
        for connectivity in CONNECTIVITIES
        for name, seconds in (
            ("native", slowness * slowest * connectivity),
            ("dense PyTorch", 0.008),
            ("dense channels last", 0.004),
            ("SparseProp", 0.1),
        )
    ]
    table = pd.DataFrame(rows)
    return table.assign(
        seconds_lower=table["seconds"] / 2,
        seconds_upper=table["seconds"] * 2,
        ratio=1.0,
        threads=1,
        repetitions=7,
        machine="a machine",
        torch="2",
        kernels="avx2",
    )


def marks(drawn: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for layer in drawn["layer"]:
        if layer["mark"]["type"] == kind:
            yield layer


def data_of(chart: dict[str, Any], panel: dict[str, Any], layer: dict[str, Any]) -> pd.DataFrame:
    data = layer.get("data", panel.get("data"))  # of the panel where all layers have the same
    assert data is not None
    return pd.DataFrame(chart["datasets"][data["name"]])


def test_remarks_say_how_far_ahead_native_is_and_where_it_is_no_longer():
    narrow, wide = SUITE.remarks(made_up())
    best = "the fastest of dense PyTorch, dense channels last / native"
    assert narrow == f"narrow: {best}: 25x, 2.5x, 0.25x at connectivity 0.01, 0.1, 1; equal at 0.25"
    assert wide.endswith("equal at 0.025")
    for slowest, word in ((1e-4, "faster"), (1e3, "slower")):
        for remark in SUITE.remarks(made_up(slowest=slowest)):
            assert remark.endswith(f"native is {word} at all of them")


def test_a_shape_has_a_break_even_on_each_device():
    slower = made_up()
    slower.loc[slower["peer"] == "native", "seconds"] *= 1.25
    both = pd.concat([made_up(), slower.assign(machine="another")])
    best = "the fastest of dense PyTorch, dense channels last / native"
    remarks = SUITE.remarks(both)
    ends = {each.split(f": {best}")[0]: each.split("equal at ")[1] for each in remarks}
    assert ends == {
        "narrow, a machine": "0.25",
        "wide, a machine": "0.025",
        "narrow, another": "0.2",
        "wide, another": "0.02",
    }
    chart = SUITE.draw(both).to_dict()
    assert [panel["title"] for panel in chart["concat"]] == list(ends)
    assert chart["title"]["subtitle"][-1].startswith("a machine and another; 1 thread")


def test_a_panel_for_each_layer_with_its_break_even_and_numbers():
    chart = SUITE.draw(made_up()).to_dict()
    panels = chart["concat"]
    assert [panel["title"] for panel in panels] == ["narrow", "wide"]
    assert chart["title"]["subtitle"][0] == "nothing; a note"
    for panel, equal in zip(panels, (0.25, 0.025), strict=True):
        (dashed,) = (mark for mark in marks(panel, "rule") if "strokeDash" in mark["mark"])
        found = data_of(chart, panel, dashed)
        assert found["x"].tolist() == pytest.approx([equal])
        assert found["text"].tolist() == [f"equal at {equal:.2g}"]
        numbers, words = marks(panel, "text")
        written = data_of(chart, panel, numbers)["text"].tolist()
        assert written == (["25x", "2.5x", "0.25x"] if equal > 0.1 else ["2.5x", "0.25x", "0.025x"])
        assert words["mark"]["align"] == ("right" if equal > 0.1 else "left")
        (line,) = marks(panel, "line")
        assert line["encoding"]["x"]["scale"]["type"] == "log"
        assert line["encoding"]["y"]["scale"]["type"] == "log"
        low, high = line["encoding"]["y"]["scale"]["domain"]
        points = data_of(chart, panel, line)
        assert low < points["lower"].min() < points["upper"].max() < high
        ticks = line["encoding"]["y"]["axis"]["values"]
        assert {f"{tick:e}"[0] for tick in ticks} in ({"1"}, {"1", "2", "5"})
        assert low <= ticks[0] < ticks[-1] <= high
        assert line["encoding"]["color"]["scale"]["domain"] == [
            "native",
            "dense PyTorch",
            "dense channels last",
            "SparseProp",
        ]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.8, "0.80x"), (5, "5.0x"), (9.96, "10x"), (59.4, "59x"), (123.4, "123x"), (1234, "1,234x")],
)
def test_ratios_are_factors_in_tables_too(ratio: float, text: str):
    assert SUITE.cells(made_up().assign(ratio=ratio))["ratio"].tolist() == [text] * 24


def test_without_a_break_even_there_is_no_dashed_line():
    chart = SUITE.draw(made_up(slowest=1e-4)).to_dict()
    for panel in chart["concat"]:
        assert not [mark for mark in marks(panel, "rule") if "strokeDash" in mark["mark"]]


@pytest.mark.parametrize(
    ("factor", "unit", "median"), [(1, "milliseconds", "160.0"), (1e-3, "microseconds", "160.0")]
)
def test_times_are_short_to_write(factor: float, unit: str, median: str):
    table = made_up()
    table[["seconds", "seconds_lower", "seconds_upper"]] *= factor
    assert SUITE.caption(table).startswith(f"{unit} per step")
    assert SUITE.cells(table)["median"].iloc[20] == median
    assert SUITE.draw(table).to_dict()["concat"][0]["layer"][0]["encoding"]["y"]["title"] == (
        f"{unit} per step"
    )


def test_a_panel_for_each_quantity_of_memory_that_is_known():
    suite = MemorySuite(name="m", title="M", details="nothing", along="width", cases=[])
    table = pd.DataFrame(
        [
            {"width": width, "peer": name, "parameter_bytes": size}
            for width in (8, 64)
            for name, size in (("native", 2**20), ("masked PyTorch", width * 2**20))
        ]
    ).assign(machine="a machine", torch="2", kernels="avx2", optimiser_bytes=1, file_bytes=1)
    unknown = table.assign(peak_bytes=float("nan"))
    assert len(suite.draw(unknown).to_dict()["concat"]) == 3
    known = table.assign(peak_bytes=5, peak_bytes_lower=4, peak_bytes_upper=6)
    chart = suite.draw(known).to_dict()
    assert len(chart["concat"]) == 4
    panel = chart["concat"][3]
    (peaks,) = marks(panel, "rule")
    points = data_of(chart, panel, peaks)
    assert (points["upper"] / points["lower"]).tolist() == pytest.approx([1.5] * 4)
    assert suite.cells(known)["parameter"].tolist() == ["1.00", "8.00", "1.00", "64.00"]
    assert suite.remarks(known)[0].endswith("masked PyTorch / native: 8.0x, 64x at width 8, 64")
