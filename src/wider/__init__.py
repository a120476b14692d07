"""Are wider nets better given the same number of parameters?"""

from wider import bottleneck, data, models, native, sparsity, theory
from wider.errors import InputError
from wider.families import Family
from wider.sparsity import (
    connectivity,
    count_weights,
    exclude,
    multiply_adds,
    sparsify,
    summary,
    to_masked,
    to_native,
)
from wider.version import __version__

__all__ = [
    "Family",
    "InputError",
    "__version__",
    "bottleneck",
    "connectivity",
    "count_weights",
    "data",
    "exclude",
    "models",
    "multiply_adds",
    "native",
    "sparsify",
    "sparsity",
    "summary",
    "theory",
    "to_masked",
    "to_native",
]
