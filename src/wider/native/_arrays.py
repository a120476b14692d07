"""Tensors as the arrays that compiled code takes."""

import numpy as np
from jaxtyping import Float
from torch import Tensor, distributed

# Asked once: to ask takes as long as a small layer's bias.
_HAS_PROCESSES = distributed.is_available()


def array_of(parameter: Float[Tensor, "..."]) -> np.ndarray:
    """The numbers of a parameter, one after the other."""
    if _HAS_PROCESSES and distributed.is_initialized():
        # FSDP frees and fills the memory of parameters, which `numpy` would forbid for good.
        return np.from_dlpack(parameter.detach()).ravel()
    return parameter.numpy().ravel()


def bias_array(bias: Float[Tensor, " out"] | None, count: int) -> np.ndarray:
    """The bias of each output, zeros where there is none."""
    return np.zeros(count, np.float32) if bias is None else array_of(bias)
