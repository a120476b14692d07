"""Tensors as the arrays that compiled code takes."""

import numpy as np
from jaxtyping import Float
from torch import Tensor, distributed

# Asked once, and below for all parameters of a layer: to ask takes as long as a small layer's bias.
_HAS_PROCESSES = distributed.is_available()


def arrays_of(*parameters: Float[Tensor, "..."]) -> list[np.ndarray]:
    """The numbers of each parameter, one after the other."""
    if _HAS_PROCESSES and distributed.is_initialized():
        # FSDP frees and fills the memory of parameters, which `numpy` would forbid for good.
        return [np.from_dlpack(each.detach()).ravel() for each in parameters]
    return [each.numpy().ravel() for each in parameters]


def values_and_bias(
    values: Float[Tensor, "nonzeros *one"], bias: Float[Tensor, " out"] | None, count: int
) -> list[np.ndarray]:
    """The values, and the bias of each of so many outputs, zeros where there is none."""
    if bias is None:
        return [*arrays_of(values), np.zeros(count, np.float32)]
    return arrays_of(values, bias)
