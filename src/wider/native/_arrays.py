"""Tensors as the arrays that compiled code takes."""

import numpy as np
from jaxtyping import Float
from torch import Tensor


def bias_array(bias: Float[Tensor, " out"] | None, count: int) -> np.ndarray:
    """The bias of each output, zeros where there is none."""
    return np.zeros(count, np.float32) if bias is None else bias.numpy()
