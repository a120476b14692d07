"""A user's own code, named as `module:name`, and the digest of its source."""

import ast
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

from wider.errors import InputError

SEPARATOR = ":"
STANDARD = Path(sysconfig.get_path("stdlib"))
INSTALLED = {"site-packages", "dist-packages"}  # folders, those of other environments too


def is_own(name: str) -> bool:
    """Whether a name is one of a user's own: `module:name`."""
    return SEPARATOR in name


def look_in(folder: Path) -> None:
    """Lets modules of a folder be found, after those of Python's path; in workers, too.

    Args:
        folder: that of a study's file.
    """
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.append(path)


def find_own(name: str) -> Any:
    """What a module of Python's path has under a name.

    Args:
        name: `module:name`; both may have dots.

    Raises:
        InputError: there is no such module, or nothing of that name in it, or it cannot be
            imported.
    """
    module_name, attribute = _parts(name)
    _check_found(name, module_name)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{name!r}: the module {module_name!r} cannot be imported: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    try:
        return reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise InputError(
            f"{name!r}: the module {module_name!r} ({module.__file__}) has no {attribute!r}"
        ) from error


def source_digest(names: Sequence[str]) -> str | None:
    """The SHA-256 of the source of a user's own code; None where there is none.

    Of each module, and of those beside it that it imports, directly or by others; of one that is
    installed as a package, of its own file alone.

    Args:
        names: each `module:name`.

    Raises:
        InputError: there is no such module.
    """
    if not names:
        return None
    digest = hashlib.sha256()
    for name in sorted({_parts(name)[0] for name in names}):
        _check_found(name, name)
        for relative, path in sorted(_sources(name).items()):
            content = path.read_bytes()
            digest.update(f"{relative} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def source_files(names: Sequence[str]) -> dict[str, bytes]:
    """The files that `source_digest` covers, but for compiled ones and installed packages.

    Args:
        names: each `module:name`.

    Returns:
        Their contents, by their names from the folder that they are imported from.
    """
    modules = sorted({_parts(name)[0] for name in names})
    return {
        relative: path.read_bytes()
        for module in modules
        for relative, path in _sources(module).items()
        if relative.endswith(".py")
    }


def _parts(name: str) -> tuple[str, str]:
    module, _, attribute = name.partition(SEPARATOR)
    parts = [*module.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise InputError(
            f"{name!r} names nothing in a module: use MODULE:NAME, such as 'nets:small_cnn' for "
            "small_cnn in nets.py"
        )
    return module, attribute


def _check_found(name: str, module: str) -> None:
    try:
        is_there = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of what would be the package around it
        is_there = False
    if not is_there:
        raise InputError(
            f"{name!r}: there is no module {module!r} on Python's path or beside the study's file: "
            "put it there, or add its folder to PYTHONPATH"
        )


def _sources(module: str) -> dict[str, Path]:
    """The files of a module and of what it imports from beside it, by their names from there."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.origin is None or not spec.origin.endswith(".py"):  # compiled, or a folder of modules
        return {} if spec.origin is None else {module: Path(spec.origin)}
    file = Path(spec.origin)
    is_package = spec.submodule_search_locations is not None
    root = file.parents[module.count(".") + is_package]
    if file.is_relative_to(STANDARD) or not INSTALLED.isdisjoint(file.parts):
        return {module: file}  # the versions of packages are kept beside, and theirs are many
    waiting, found = [file], {}
    while waiting:
        path = waiting.pop()
        relative = path.relative_to(root)
        if relative.as_posix() not in found:
            found[relative.as_posix()] = path
            for imported in _imported(path, package=relative.parts[:-1]):
                waiting += _beside(root, imported)
    return found


def _imported(path: Path, *, package: tuple[str, ...]) -> Iterator[str]:
    """The modules that a file may import, those of its own package by their full names."""
    with suppress(SyntaxError, ValueError):  # who imports it is told
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                module = [*above, *([node.module] if node.module else [])]
                yield from (".".join([*module, alias.name]) for alias in node.names)


def _beside(root: Path, module: str) -> Iterator[Path]:
    """The files that are run when a module of a folder is imported, if it is one of that folder."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                yield path
