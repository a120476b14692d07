"""Random crops and flips of images, against those made by hand."""

import numpy as np
import pytest
import torch

from wider.data import DrawnAugmentation, augmented, draw_augmentation
from wider.randomness import stream

PADDING = 4  # Golubeva et al. 2021, Appendix A


def test_no_augmentation_draws_nothing():
    assert draw_augmentation("none", 5, generator=stream(0, "tests")) is None


@pytest.mark.parametrize("augmentation", ["crop", "crop-flip"])
def test_corners_are_uniform_and_flips_are_even(augmentation):
    count = 20_000
    drawn = draw_augmentation(augmentation, count, generator=stream(0, "tests"))
    assert drawn is not None
    sides = 2 * PADDING + 1
    seen = torch.bincount(drawn.corners[:, 0] * sides + drawn.corners[:, 1], minlength=sides**2)
    expected = count / sides**2
    assert (seen - expected).abs().max() < 5 * expected**0.5
    if augmentation == "crop":
        assert not drawn.flips.any()
    else:
        assert abs(int(drawn.flips.sum()) - count / 2) < 5 * (count / 4) ** 0.5


def test_images_are_shifted_into_black_and_turned_around():
    images = torch.randn(6, 2, 5, 7)
    black = torch.tensor([-1.5, 0.25])
    drawn = DrawnAugmentation(
        torch.tensor([[4, 4], [0, 0], [8, 8], [4, 3], [6, 1], [4, 4]]),
        torch.tensor([False, False, False, False, True, True]),
    )
    found = augmented(images, drawn, black)
    for image, (row, column), flip, result in zip(images, *drawn, found, strict=True):
        wide = np.empty((2, 5 + 2 * PADDING, 7 + 2 * PADDING), np.float32)
        wide[:] = black.numpy()[:, None, None]
        wide[:, PADDING : PADDING + 5, PADDING : PADDING + 7] = image.numpy()
        cut = wide[:, row : row + 5, column : column + 7]
        expected = cut[:, :, ::-1] if flip else cut
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)
    torch.testing.assert_close(found[0], images[0])


def test_the_images_are_left_as_they_were():
    images = torch.randn(3, 1, 4, 4)
    before = images.clone()
    drawn = draw_augmentation("crop-flip", 3, generator=stream(0, "tests"))
    assert drawn is not None
    augmented(images, drawn, torch.zeros(1))
    assert torch.equal(images, before)


def test_what_is_drawn_for_a_part():
    drawn = DrawnAugmentation(
        torch.arange(8).reshape(4, 2), torch.tensor([True, False, True, True])
    )
    part = drawn.of(torch.tensor([1, 2]))
    assert part.corners.tolist() == [[2, 3], [4, 5]]
    assert part.flips.tolist() == [False, True]
