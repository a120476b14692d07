"""Are wider nets better given the same number of parameters?"""

from wider import bottleneck, data, models, native, sparsity, theory
from wider.errors import InputError
from wider.families import Family
from wider.sparsity import (
    connectivity,
    count_weights,
    exclude,
    load,
    multiply_adds,
    save,
    sparsify,
    summary,
    to_dense,
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
    "load",
    "models",
    "multiply_adds",
    "native",
    "save",
    "sparsify",
    "sparsity",
    "summary",
    "theory",
    "to_dense",
    "to_masked",
    "to_native",
]
