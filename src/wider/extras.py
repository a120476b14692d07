"""What is installed beside the core, as `wider[study]`, and what to say where it is not."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from wider.errors import MissingExtraError

# {extra: the modules of its packages, as pyproject.toml lists them}
EXTRAS = {
    "study": (
        "altair",
        "datasets",
        "filelock",
        "huggingface_hub",
        "jinja2",
        "pandas",
        "PIL",
        "platformdirs",
        "pyarrow",
        "pydantic",
        "rich",
        "sklearn",
        "tomlkit",
        "tyro",
        "vl_convert",
    )
}


@cache
def need(extra: str) -> None:
    """Makes sure that an extra is installed, before anything of it is imported.

    Args:
        extra: its name.

    Raises:
        MissingExtraError: it is not, or not whole.
    """
    if missing := [name for name in EXTRAS[extra] if find_spec(name) is None]:
        raise MissingExtraError(missing[0], extra)


def imported(name: str, *, extra: str) -> Any:
    """A module that the core does without until it is asked for.

    Args:
        name: of the module.
        extra: that has it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, extra) from error
