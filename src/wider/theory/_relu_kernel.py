"""The kernel of an infinitely wide, dense net."""

import torch
from jaxtyping import Float64, Num
from torch import Tensor

from wider.theory._arc_cosine import arc_cosine
from wider.theory._check import check_vectors


def relu_kernel(
    x: Num[Tensor, "rows features"], y: Num[Tensor, "columns features"]
) -> Float64[Tensor, "rows columns"]:
    """The Gaussian-process kernel of an infinitely wide, dense ReLU net with one hidden layer.

    K_inf(x, y) = E[relu(u.x) relu(u.y)] / d with u ~ N(0, I), in NTK parametrisation without
    biases; K_inf(x, x) = |x|^2 / (2 d).

    Args:
        x: input vectors.
        y: input vectors of the same length d.

    Returns:
        The kernel of each row of x with each row of y, in 64 bits.

    Raises:
        InputError: the vectors differ in length, or a number is not finite.

    Source:
        Cho & Saul 2009, Section 2.1; Golubeva et al. 2021, Section 3.
    """
    check_vectors(x=x, y=y)
    x, y = x.to(torch.float64), y.to(torch.float64)
    squares_x, squares_y = x.square().sum(dim=1), y.square().sum(dim=1)
    return arc_cosine(squares_x[:, None], squares_y, x @ y.T).second / x.shape[1]
