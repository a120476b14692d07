"""What every function of this room asks of its input."""

from numbers import Integral

from jaxtyping import Num
from torch import Tensor

from wider.errors import InputError


def check_vectors(**named: Num[Tensor, "vectors features"]) -> None:
    """Raises an InputError unless all are finite matrices with equally long rows."""
    for name, vectors in named.items():
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise InputError(
                f"{name} has shape {tuple(vectors.shape)}; use one row per input vector, such as "
                "images.flatten(1)"
            )
        if not vectors.isfinite().all():
            raise InputError(f"{name} holds NaN or infinite numbers; remove or replace these rows")
    if len({vectors.shape[1] for vectors in named.values()}) > 1:
        lengths = " and ".join(f"{name} {v.shape[1]}" for name, v in named.items())
        raise InputError(f"rows differ in length: {lengths}; use inputs of one kind")


def check_pairs(x: Num[Tensor, "pairs features"], y: Num[Tensor, "pairs features"]) -> None:
    """Raises an InputError unless x[i] and y[i] make a pair for every i."""
    check_vectors(x=x, y=y)
    if len(x) != len(y):
        raise InputError(
            f"x has {len(x):,} rows and y {len(y):,}; pair i is x[i] with y[i], so use as many of "
            "each"
        )


def check_at_least(minimum: int, **named: int) -> None:
    """Raises an InputError unless all are whole numbers from the minimum up."""
    for name, value in named.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
            raise InputError(f"{name} is {value!r}; use a whole number of at least {minimum}")


def check_connectivity(**named: float) -> None:
    """Raises an InputError unless all are above 0 and at most 1."""
    for name, value in named.items():
        if not 0 < value <= 1:
            raise InputError(
                f"{name} is {value!r}; use the fraction of the weights that are kept, above 0 and "
                "at most 1"
            )
