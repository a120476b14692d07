"""Are wider nets better given the same number of parameters?"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = ("bottleneck", "data", "models", "native", "sparsity", "theory")
_HOMES = {"Family": "families", "InputError": "errors", "__version__": "version"}


def __getattr__(name: str) -> object:
    """Imports what is asked for: PyTorch takes seconds, in which a worker has to watch its parent
    and the command line to hear Ctrl-C.
    """
    if name not in __all__:
        raise AttributeError(f"module 'wider' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"wider.{name}")
    return getattr(import_module(f"wider.{_HOMES.get(name, 'sparsity')}"), name)


def __dir__() -> list[str]:
    return __all__
