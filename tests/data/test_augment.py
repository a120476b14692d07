"""Random moves of images, against moves made by hand."""

import numpy as np
import pytest
import torch

from wider.data import Moves, draw_moves, moved
from wider.data._augment import PADDING
from wider.randomness import stream


def test_no_augmentation_draws_nothing():
    assert draw_moves("none", 5, generator=stream(0, "tests")) is None


@pytest.mark.parametrize("augmentation", ["crop", "crop-flip"])
def test_corners_are_uniform_and_flips_are_even(augmentation):
    count = 20_000
    moves = draw_moves(augmentation, count, generator=stream(0, "tests"))
    assert moves is not None
    sides = 2 * PADDING + 1
    seen = torch.bincount(moves.corners[:, 0] * sides + moves.corners[:, 1], minlength=sides**2)
    expected = count / sides**2
    assert (seen - expected).abs().max() < 5 * expected**0.5
    if augmentation == "crop":
        assert not moves.flips.any()
    else:
        assert abs(int(moves.flips.sum()) - count / 2) < 5 * (count / 4) ** 0.5


def test_images_are_moved_into_black_and_turned_around():
    images = torch.randn(6, 2, 5, 7)
    black = torch.tensor([-1.5, 0.25])
    moves = Moves(
        torch.tensor([[4, 4], [0, 0], [8, 8], [4, 3], [6, 1], [4, 4]]),
        torch.tensor([False, False, False, False, True, True]),
    )
    found = moved(images, moves, black)
    for image, (row, column), flip, result in zip(images, *moves, found, strict=True):
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
    moves = draw_moves("crop-flip", 3, generator=stream(0, "tests"))
    assert moves is not None
    moved(images, moves, torch.zeros(1))
    assert torch.equal(images, before)


def test_moves_of_a_part():
    moves = Moves(torch.arange(8).reshape(4, 2), torch.tensor([True, False, True, True]))
    part = moves.of(torch.tensor([1, 2]))
    assert part.corners.tolist() == [[2, 3], [4, 5]]
    assert part.flips.tolist() == [False, True]
