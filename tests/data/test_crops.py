"""Parts of large images, chosen at random or in the middle."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from wider.data import central_boxes, random_boxes
from wider.randomness import stream

COUNT = 4000
SIDE = 10_000  # so large that whole pixels hardly matter


def boxes_of(height: int, width: int, count: int = COUNT) -> torch.Tensor:
    sizes = torch.tensor([[height, width]]).expand(count, 2)
    return random_boxes(sizes, generator=stream(0, "crops"))


def reference(height: int, width: int, numbers: torch.Tensor) -> list[int]:
    """One image at a time, in plain numbers: ten tries, then the middle."""
    for scale, ratio in numbers[:10].tolist():
        area = height * width * (0.2 + 0.8 * scale)
        aspect = math.exp(math.log(3 / 4) + ratio * (math.log(4 / 3) - math.log(3 / 4)))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            top = math.floor(float(numbers[10, 0]) * (height - high + 1))
            left = math.floor(float(numbers[10, 1]) * (width - wide + 1))
            return [left, top, left + wide, top + high]
    if width / height > 4 / 3:
        wide, high = round(height * 4 / 3), height
    elif width / height < 3 / 4:
        wide, high = width, round(width * 4 / 3)
    else:
        wide, high = width, height
    left, top = (width - wide) // 2, (height - high) // 2
    return [left, top, left + wide, top + high]


def test_boxes_are_those_of_a_plain_loop_over_images() -> None:
    sizes = torch.randint(256, 700, (300, 2), generator=stream(1, "sizes"))
    boxes = random_boxes(sizes, generator=stream(0, "crops"))
    numbers = torch.rand(300, 11, 2, dtype=torch.float64, generator=stream(0, "crops"))
    for (height, width), box, own in zip(sizes.tolist(), boxes.tolist(), numbers, strict=True):
        assert box == reference(height, width, own)


def test_areas_are_uniform_but_for_those_that_do_not_fit() -> None:
    # In a square the share a fits if |log aspect| <= -log a, which is certain up to a = 3/4.
    def below(share: float) -> float:
        most = max(share, 0.75)
        beyond = (most - most * math.log(most)) - (0.75 - 0.75 * math.log(0.75))
        return min(share, 0.75) - 0.2 + beyond / math.log(4 / 3)

    left, top, right, bottom = boxes_of(SIDE, SIDE).double().unbind(1)
    shares = (right - left) * (bottom - top) / SIDE**2
    assert shares.min() >= 0.2 - 1e-3
    assert shares.max() <= 1

    def distribution(values: list[float]) -> np.ndarray:
        return np.array([below(value) / below(1) for value in values])

    assert stats.kstest(shares.tolist(), distribution).pvalue > 0.01
    assert stats.kstest(shares.tolist(), stats.uniform(0.2, 0.8).cdf).pvalue < 1e-6


def test_shapes_and_places_are_uniform() -> None:
    left, top, right, bottom = boxes_of(SIDE, SIDE).double().unbind(1)
    wide, high = right - left, bottom - top
    small = wide * high < 0.75 * SIDE**2  # they always fit
    aspects = (wide / high).log()[small] / math.log(4 / 3)
    assert stats.kstest(aspects.tolist(), stats.uniform(-1, 2).cdf).pvalue > 0.01
    for start, extent in ((left, wide), (top, high)):
        places = start / (SIDE - extent + 1)
        assert stats.kstest(places.tolist(), stats.uniform.cdf).pvalue > 0.01


def test_every_place_is_reached() -> None:
    boxes = boxes_of(4, 4)
    left, top, right, bottom = boxes.unbind(1)
    assert int(boxes.min()) == 0
    assert int(right.max()) == int(bottom.max()) == 4
    assert set(left[right - left == 2].tolist()) == {0, 1, 2}
    assert bool(((left < right) & (top < bottom)).all())


@pytest.mark.parametrize(
    ("size", "box"),
    [((100, 1000), [433, 0, 566, 100]), ((1000, 100), [0, 433, 100, 566])],
)
def test_an_image_that_is_too_long_gives_its_middle(size: tuple[int, int], box: list[int]) -> None:
    # At least a fifth of it would be 122 high, more than the 100 there are; 100 * 4 / 3 = 133.
    assert boxes_of(*size, count=5).tolist() == [box] * 5


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((256, 256), [16, 16, 240, 240]),
        ((256, 340), [58, 16, 282, 240]),
        ((512, 256), [16, 144, 240, 368]),
    ],
)
def test_the_middle_is_224_of_256_pixels(size: tuple[int, int], box: list[int]) -> None:
    assert central_boxes(torch.tensor([size])).tolist() == [box]
