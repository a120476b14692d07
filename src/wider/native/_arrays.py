"""Tensors as the arrays that compiled code takes."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def whole_tiles(images: Tensor, tile: int) -> np.ndarray:
    """The images as an array whose number is a multiple of a tile; zeros fill the last one."""
    missing = -len(images) % tile
    if missing:
        images = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    return images.contiguous().numpy()


def bias_array(bias: Float[Tensor, " out"] | None, count: int) -> np.ndarray:
    return np.zeros(count, np.float32) if bias is None else bias.numpy()
