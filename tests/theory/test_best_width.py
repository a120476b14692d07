import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import wider
from wider.data import Preprocessing, load, prepare
from wider.errors import InputError
from wider.sparsity import allocate
from wider.theory import (
    approximate_kernel_distance,
    best_width,
    connectivity_grid,
    kernel_distance,
)

SHARED_DATA = Path(__file__).parents[2].parent / "shared" / "data"
SMALL: dict[str, Any] = {"base_width": 4, "widths": [4, 8, 16, 32, 64], "num_classes": 10}


@pytest.fixture(scope="module")
def digits():
    """Images of 8 x 8 pixels, each pixel normalised."""
    return prepare(
        load("digits"), Preprocessing(dataset="digits", normalisation="pixel")
    ).train_images


def matchings(indices: list[int]) -> Iterator[list[tuple[int, int]]]:
    """All ways to make pairs of an even number of things, each used once."""
    if not indices:
        yield []
        return
    first, *others = indices
    for other in others:
        for rest in matchings([index for index in others if index != other]):
            yield [(first, other), *rest]


def pairs_of(images: torch.Tensor, distance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The only pairs of all images whose mean distance at width 4, where nets are dense, is so."""
    found = []
    for matching in matchings(list(range(len(images)))):
        x, y = (images[list(rows)].flatten(1) for rows in zip(*matching, strict=True))
        mean = kernel_distance(x, y, width=4, connectivity=1.0).distances.mean().item()
        if mean == pytest.approx(distance, rel=1e-9):
            found.append((x, y))
    (pairs,) = found
    return pairs


def test_distances_are_means_of_kernel_distance_at_the_connectivities_of_the_allocation():
    # Few enough features for all masks, so that nothing is sampled but the pairs.
    images = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(0))
    advice = best_width(images, **SMALL)
    assert advice.num_pairs == 3
    x, y = pairs_of(images, advice.distances["distance"][0])
    assert list(advice.distances["width"]) == SMALL["widths"]
    table = advice.distances.to_frame()
    assert list(table.columns) == list(advice.distances)
    for row in table.to_dict("records"):
        width = row["width"]
        kept = allocate({"hidden.0": width * 8, "output": width * 10}, 4 * 18)
        connectivity = kept["hidden.0"] / (width * 8)
        output_connectivity = kept["output"] / (width * 10)
        assert row["hidden_connectivity"] == connectivity
        assert row["output_connectivity"] == output_connectivity
        paper, ours = (
            kernel_distance(
                x, y, width=width, connectivity=connectivity, output_connectivity=output
            )
            for output in (1.0, output_connectivity)
        )
        assert row["distance"] == pytest.approx(ours.distances.mean().item())
        assert row["variance"] == pytest.approx(ours.variances.mean().item())
        assert row["squared_bias"] == pytest.approx(ours.squared_biases.mean().item(), abs=1e-15)
        assert row["theorem_1"] == pytest.approx(paper.distances.mean().item())
        assert row["equation_6"] == approximate_kernel_distance(
            8, width=width, connectivity=connectivity
        )
        assert row["standard_error"] == pytest.approx(ours.distances.std().item() / math.sqrt(3))
    assert advice.width == table.set_index("width")["distance"].idxmin()


def test_sampled_masks_agree_with_kernel_distance(digits):
    images = digits[:8]
    advice = best_width(images, **SMALL, num_masks=16 * 1024)
    x, y = pairs_of(images, advice.distances["distance"][0])
    for row in advice.distances.to_frame().to_dict("records")[1:]:
        result = kernel_distance(
            x,
            y,
            width=row["width"],
            connectivity=row["hidden_connectivity"],
            output_connectivity=row["output_connectivity"],
            num_masks=16 * 1024,
            seed=1,
        )
        assert result.distances.mean().item() == pytest.approx(row["distance"], rel=0.05)


def test_digits_are_best_at_the_width_that_training_finds(digits):
    # Base width 4: trained best at 16; Theorem 1, without the last layer's mask, says 64 or more.
    settings: dict[str, Any] = SMALL | {"widths": [4, 8, 16, 32, 64, 128, 256]}
    advice = best_width(digits, **settings)
    assert advice.width == 16
    table = advice.distances
    assert table["width"][table["theorem_1"].argmin()] >= 64
    assert advice.width in advice.indistinguishable
    assert advice.width in advice.within_5_percent


def test_standard_error_is_that_of_other_pairs_and_masks(digits):
    def run(seed):
        advice = best_width(digits, **SMALL, num_pairs=40, num_masks=64, seed=seed)
        return advice.distances

    tables = [run(seed) for seed in range(60)]
    spread = np.std([table["distance"] for table in tables], axis=0, ddof=1)
    reported = np.sqrt(np.mean([table["standard_error"] ** 2 for table in tables], axis=0))
    assert (reported > 0.75 * spread).all()
    assert (reported < 1.6 * spread).all()  # errs on the large side


@pytest.mark.parametrize("part", ["pairs", "masks"])
def test_standard_error_counts_pairs_and_masks(part: str):
    generator = torch.Generator().manual_seed(0)
    # Of 8 features all masks are taken. Of 14 they are drawn; pairs of equal images do not differ.
    images = torch.randn(400, 8, generator=generator)
    if part == "masks":
        images = torch.randn(1, 14, generator=generator).expand(40, -1)
    family: dict[str, Any] = {"base_width": 4, "widths": [16], "num_classes": 10}
    runs = [
        best_width(images, **family, num_pairs=10, num_masks=32, seed=seed).distances
        for seed in range(200)
    ]
    found = np.var([run["distance"] for run in runs])
    assert found > 0
    assert np.mean([run["standard_error"] ** 2 for run in runs]) == pytest.approx(found, rel=0.25)


def test_true_best_width_is_among_the_indistinguishable(digits):
    widths = [8, 12, 16, 20, 24, 32]
    settings: dict[str, Any] = {"base_width": 4, "widths": widths, "num_classes": 10}
    truth = best_width(digits, **settings, num_pairs=898, num_masks=2048).width
    runs = [
        best_width(digits, **settings, num_pairs=20, num_masks=64, seed=seed)
        for seed in range(1, 41)
    ]
    covered = np.mean([truth in run.indistinguishable for run in runs])
    assert covered >= 0.85
    # More pairs tell more widths apart.
    few = np.mean([len(run.indistinguishable) for run in runs])
    many = best_width(digits, **settings, num_pairs=800, num_masks=512, seed=1)
    assert len(many.indistinguishable) < few


def test_pairs_are_distinct_images_and_no_more_than_there_are():
    images = torch.arange(1.0, 12.0)[:, None]
    assert best_width(images, base_width=1, widths=[1], num_classes=2).num_pairs == 5
    # Of a dense unit and one feature the distance is 5/4 (x y)^2: all pairings of six, by hand.
    squares = [
        5 / 4 * np.mean([((x + 1) * (y + 1)) ** 2 for x, y in matching])
        for matching in matchings(list(range(6)))
    ]
    drawn = set()
    for seed in range(40):
        advice = best_width(images[:6], base_width=1, widths=[1], num_classes=2, seed=seed)
        (pairing,) = np.flatnonzero(np.isclose(squares, advice.distances["distance"][0]))
        drawn.add(pairing)
    assert len(drawn) > 10


def test_allocation_decides(digits):
    level, proportional, erdos_renyi = (
        best_width(digits, **SMALL, allocation=allocation, num_pairs=100, num_masks=64).distances
        for allocation in ("level", "proportional", "erdos_renyi")
    )
    rows = level["width"] == 16
    assert level["output_connectivity"][rows].item() > 0.9
    assert proportional["output_connectivity"][rows].item() == pytest.approx(0.25, abs=0.01)
    # 296 weights in proportion to 16 + 64 and 10 + 16.
    assert erdos_renyi["output_connectivity"][rows].item() == pytest.approx(
        296 * 26 / 106 / 160, abs=0.01
    )
    assert level["distance"][rows].item() < proportional["distance"][rows].item()


def test_grid_holds_the_cells_that_exist(digits):
    settings: dict[str, Any] = {
        "base_width": 4,
        "num_classes": 10,
        "num_pairs": 100,
        "num_masks": 64,
    }
    grid = connectivity_grid(
        digits, widths=[4, 16, 64], output_connectivities=[1.0, 0.5, 0.25], **settings
    )
    # The base width has to be dense, and half of the 64 x 10 weights exceed the budget of 296.
    cells = [(4, 1.0), (16, 1.0), (16, 0.5), (16, 0.25), (64, 0.25)]
    assert list(zip(grid["width"], grid["asked"], strict=True)) == cells
    advice = best_width(digits, widths=[16], allocation={"output": 0.5}, **settings)
    assert grid["distance"][2] == advice.distances["distance"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": []}, "widths is empty"),
        ({"widths": [4, 3]}, "width 3 is below the base width 4"),
        ({"widths": [4, 8.0]}, "width is 8.0"),
        ({"base_width": 0}, "base_width is 0"),
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_pairs": 1}, "num_pairs is 1; .*at least 2"),
        ({"num_masks": 31}, "num_masks is 31; .*at least 32"),
        ({"x": torch.ones(3, 5)}, "x has 3 images"),
        ({"x": torch.full((10, 5), math.nan)}, "x holds NaN"),
        ({"allocation": "equal"}, "width 4 at base width 4: unknown allocation 'equal'"),
        (
            {"base_width": 1, "widths": [1, 10_000], "allocation": {"output": 1.0}},
            "width 10000 at base width 1: .*hidden.0",
        ),
    ],
)
def test_bad_input(change, message):
    arguments: dict[str, Any] = {"x": torch.ones(10, 5)} | SMALL | change
    with pytest.raises(InputError, match=message):
        best_width(arguments.pop("x"), **arguments)


def test_a_grid_without_cells_is_refused():
    with pytest.raises(InputError, match=r"no width of \[2\]"):
        connectivity_grid(
            torch.randn(10, 5),
            base_width=4,
            widths=[2],
            output_connectivities=[0.5],
            num_classes=3,
        )


def test_reachable_from_the_package():
    assert wider.theory.best_width is best_width


@pytest.mark.skipif(not (SHARED_DATA / "mnist").is_dir(), reason="needs the whole of MNIST")
def test_mnist_is_best_at_the_widths_that_the_paper_trained_best(tmp_path):
    mnist = load("mnist", data_dir=SHARED_DATA, cache_dir=tmp_path)
    images = prepare(mnist, Preprocessing(dataset="mnist", normalisation="pixel")).test_images
    doublings = [2**power for power in range(8)]
    settings: dict[str, Any] = {"num_classes": 10, "num_masks": 512}
    advice = best_width(
        images, base_width=5, widths=[5 * factor for factor in doublings], **settings
    )
    assert advice.width in (80, 160)
    # A study with 200 other pairs; the spread of the pairs, of heavy tails, is its error.
    earlier = [3.73e-2, 1.89e-2, 9.83e-3, 5.70e-3, 4.20e-3, 4.28e-3, 4.86e-3, 5.75e-3]
    table = advice.distances
    error = table["standard_error"] * math.sqrt(1 + advice.num_pairs / 200)
    assert (abs(table["theorem_1"] - earlier) < 3 * error).all()
    wider_family = best_width(
        images, base_width=8, widths=[8 * factor for factor in doublings], **settings
    )
    assert 128 in wider_family.indistinguishable
