"""The model of what layers cost, and the suite that fits it."""

from pathlib import Path

import numpy as np
import pytest

from wider.bench import layer_costs, read_table, run_suite
from wider.native import cost
from wider.native.cost import COEFFICIENTS, Coefficients, Work

from .tiny import TINY

(SUITE,) = (suite for suite in TINY if isinstance(suite, layer_costs.CostSuite))


def test_counts_of_a_linear_layer():
    work = Work((10, 20), 60, images=33)
    # 33 images are computed as 48; inputs and outputs are moved.
    assert cost.native_counts(work, threads=1) == (1, 60 * 48, 30 * 48, 60)
    assert cost.torch_counts(work, threads=1) == (1, 200 * 33, 30 * 33, 200)
    # Of 3 times 16 images, four threads share three parts.
    assert cost.native_counts(work, threads=4) == (1, 60 * 16, 30 * 16, 60)
    assert cost.torch_counts(work, threads=3) == (1, 200 * 11, 30 * 11, 200)


def test_counts_of_a_convolution():
    work = Work((8, 4, 3, 3), 50, images=16, image=(9, 5), stride=(2, 1), padding=(1, 1))
    assert work.output == (5, 5)
    moved = 8 * 25 + 4 * 45
    # 25 positions are computed as 32, channels in PyTorch in blocks of 16.
    assert cost.native_counts(work, threads=1) == (1, 50 * 32 * 16, moved * 16, 50)
    products = 16 * 16 * 25 * 16
    counts = 1, 9 * products, moved * 16, 288, products, moved * 16
    assert cost.torch_counts(work, threads=1) == counts
    whole = work._replace(num_weights=288)
    assert cost.torch_counts(whole, threads=1)[3] == 0  # there is no mask
    assert cost.torch_counts(work._replace(stride=(1, 1)), threads=1)[-1] == 0


def test_one_image_whose_rows_are_whole_vectors_wastes_no_lanes():
    work = Work((4, 4, 1, 1), 8, images=1, image=(2, 32))
    assert cost.native_counts(work, threads=1) == (1, 8 * 64, 8 * 64, 8)
    narrow = work._replace(image=(2, 33))
    assert cost.native_counts(narrow, threads=1)[1] == 8 * 80 * 16


def test_the_ratio_is_that_of_the_sums(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(COEFFICIENTS, "linear", Coefficients((1, 0, 0, 2), (3, 0, 0, 1)))
    assert cost.native_ratio(Work((10, 20), 60, 16), threads=1) == 121 / 203


def test_denser_layers_gain_less_and_full_ones_of_many_channels_nothing():
    ratios = [
        cost.native_ratio(Work((256, 256), num_weights, 128), threads=1)
        for num_weights in (655, 6_553, 65_000)
    ]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.5
    full = Work((64, 64, 3, 3), 64 * 64 * 9, 128, (16, 16), (1, 1), (1, 1))
    assert cost.native_ratio(full, threads=1) > 1


def test_the_fit_finds_the_coefficients_that_made_the_times():
    made = {
        "linear": Coefficients((1e-4, 2e-10, 3e-9, 4e-9), (2e-4, 1e-10, 5e-9, 6e-9)),
        "convolution": Coefficients(
            (3e-4, 1e-10, 2e-9, 5e-8), (4e-4, 6e-11, 1e-9, 3e-8, 1e-10, 2e-9)
        ),
    }
    measured = []
    for work in layer_costs.LAYER_COSTS.works.values():
        coefficients = made[cost.kind_of(work)]
        native = np.dot(coefficients.native, cost.native_counts(work, 1))
        in_torch = np.dot(coefficients.torch, cost.torch_counts(work, 1))
        measured.append((work, float(native), float(in_torch)))
    found = layer_costs.fit(measured, 1)
    assert found.keys() == made.keys()
    for kind, coefficients in made.items():
        for side, expected in zip(found[kind], coefficients, strict=True):
            assert side == pytest.approx(expected, rel=0.01)  # printed to three digits


def test_the_suite_measures_fits_and_draws():
    table = run_suite(SUITE, threads=1, repetitions=2)
    assert set(table["peer"]) == {"native", "masked PyTorch"}
    assert len(table) == 2 * 3  # no linear layer without a mask
    *fits, decisions = SUITE.remarks(table)
    assert [line.split(":")[1].strip() for line in fits] == ["linear", "convolution"]
    assert "of 3 layers" in decisions
    dots = SUITE.draw(table).to_dict()["datasets"]
    assert any(len(rows) == 3 for rows in dots.values())


def test_the_coefficients_in_use_are_those_of_the_committed_table():
    table = read_table(Path("results/bench-layer-costs-amd-epyc.csv"))
    *fitted, _ = layer_costs.LAYER_COSTS.remarks(table)
    assert fitted == [f"fitted: {kind}: {found}" for kind, found in COEFFICIENTS.items()]
