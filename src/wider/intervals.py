"""How far an estimate may be off."""

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

CONFIDENCE = 0.95


def t_margin(
    error: Float[np.ndarray, "..."] | float,
    degrees: Float[np.ndarray, "..."] | float,
    risk: float = (1 - CONFIDENCE) / 2,
) -> Float[np.ndarray, "..."]:
    """How far an estimate with a normal error may be off on one side, but for a risk.

    Args:
        error: standard errors of the estimates.
        degrees: degrees of freedom of those errors.
        risk: one-sided.

    Returns:
        The margins, by Student's t: 0 where the error is, as of seeds that agree to the last digit;
        infinite where there is no error to go by, as of one seed.

    Example:
        >>> round(float(t_margin(1.0, 2)), 3)
        4.303
    """
    error = np.asarray(error, dtype=float)
    with np.errstate(invalid="ignore"):
        margin = -stdtrit(degrees, risk) * error
    return np.where(error == 0, 0.0, np.where(np.isfinite(margin), margin, np.inf))
