"""Are wider nets better given the same number of parameters?"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wider import (
        bench,
        bottleneck,
        data,
        evidence,
        models,
        native,
        report,
        runs,
        sparsity,
        study,
        theory,
        training,
    )
    from wider.errors import InputError
    from wider.families import Family
    from wider.report import open_study
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
    "bench",
    "bottleneck",
    "connectivity",
    "count_weights",
    "data",
    "evidence",
    "exclude",
    "load",
    "models",
    "multiply_adds",
    "native",
    "open_study",
    "report",
    "runs",
    "save",
    "sparsify",
    "sparsity",
    "study",
    "summary",
    "theory",
    "to_dense",
    "to_masked",
    "to_native",
    "training",
]

_MODULES = (
    *("bottleneck", "models", "native", "sparsity", "theory"),
    *("bench", "data", "evidence", "report", "runs", "study", "training"),
)
_HOMES = {
    "Family": "families",
    "InputError": "errors",
    "__version__": "version",
    "open_study": "report",
}


def __getattr__(name: str) -> object:
    """Imports what is asked for: PyTorch takes seconds, and the study's packages may not be there.

    Raises:
        AttributeError: there is no such name.
        MissingExtraError: it is of the study, which is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module 'wider' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"wider.{name}")
    return getattr(import_module(f"wider.{_HOMES.get(name, 'sparsity')}"), name)


def __dir__() -> list[str]:
    return __all__
