"""The advice on the command line."""

import re
from pathlib import Path

import pytest

from wider.data import Preprocessing, load, prepare
from wider.theory import best_width, connectivity_grid


def test_the_advice_is_that_of_the_library(wider, tmp_path: Path):
    done = wider("advise", "--dataset", "digits", "--base-width", "4", "--picture", "advice.svg")
    assert done.returncode == 0
    preprocessing = Preprocessing(dataset="digits", normalisation="pixel")
    inputs = prepare(load("digits"), preprocessing).train_images
    widths = [4 * 2**power for power in range(8)]
    advice = best_width(inputs, base_width=4, widths=widths, num_classes=10)
    assert f"Advised width: {advice.width}." in done.stdout
    # A row per width in the table of distances, then the grid.
    first, grid = done.stdout.split("distance as a multiple of the smallest")
    assert len(re.findall(r"│ +\d+ │ +[\d.]+ │", first)) == len(widths)
    distances = connectivity_grid(
        inputs,
        base_width=4,
        widths=widths,
        output_connectivities=(1.0, 0.75, 0.5, 0.25, 0.1),
        num_classes=10,
        num_pairs=2000,
        num_masks=128,
    )
    best = distances.to_frame().sort_values("distance").iloc[0]
    assert f"free as well: width {best.width:.0f}, last layer {best.asked:g}." in grid
    assert grid.count(" 1.00 ") == 1
    assert "digits, normalisation pixel; MLP of 296 weights, allocation level" in done.stdout
    assert "right to about a doubling" in done.stdout
    assert "The best width before training" in (tmp_path / "advice.svg").read_text()


def test_a_number_of_weights_will_do(here):
    same = [
        here("advise", "--dataset", "digits", *budget, "--widths", "4", "16", "64").stdout
        for budget in (("--base-width", "4"), ("--num-weights", "300"))
    ]
    assert same[0] == same[1]
    assert "Advised width" in same[0]


def test_the_end_of_the_range_is_said_to_be_one(here):
    narrow = here("advise", "--dataset", "digits", "--base-width", "4", "--widths", "4", "8")
    assert "the best width may lie beyond; try other --widths" in narrow.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--base-width 4 --num-weights 300", "either --base-width or --num-weights"),
        ("", "say how many weights there are"),
        ("--num-weights 70", "one hidden unit has 74 weights on digits"),
        ("--base-width 4 --widths 2", "width 2 is below the base width 4"),
        (
            "--base-width 4 --widths 4 8 --picture a.txt",
            "use a name that ends in .png, .svg, .pdf or .html",
        ),
    ],
)
def test_bad_input_is_named(here, arguments: str, message: str):
    done = here("advise", "--dataset", "digits", *arguments.split())
    assert done.returncode == 2
    assert message in done.stderr
