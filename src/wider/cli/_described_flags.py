"""Flags for specs, and for what a name and options describe: models, optimisers, schedules.

Help is what stands under each field, as flowing text: tyro would keep its lines.
"""

import ast
import inspect
import textwrap
import tomllib
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from wider.described import NAME, OPTIONS
from wider.errors import InputError
from wider.registry import Described, SpecRegistry

RULES = ConstructorRegistry()
"""To be given to tyro, which has rules of its own for all else."""


@RULES.struct_rule
def _flag_for_each_field(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Of wider's specs, and its classes of flags: each field has a default."""
    kind = info.type
    if not isinstance(kind, type) or not kind.__module__.startswith("wider."):
        return None
    if not is_dataclass(kind) and not issubclass(kind, BaseModel):
        return None
    names = [each.name for each in fields(kind)] if is_dataclass(kind) else kind.model_fields
    default = info.default if isinstance(info.default, kind) else kind()
    kinds, texts = get_type_hints(kind, include_extras=True), _texts(kind)
    return StructConstructorSpec(
        kind,
        tuple(
            StructFieldSpec(name, kinds[name], getattr(default, name), texts.get(name))
            for name in names
        ),
    )


@RULES.struct_rule
def _flag_for_each_option(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Of one thing: a flag for its name, and one for each option that any of that noun has."""
    if not _is_described(info.type):
        return None
    registry = _registry_of(info.type)
    options = _options(registry)

    def made(**flags: Any) -> dict[str, Any]:
        given = {
            name: value
            for name, value in flags.items()
            if name not in options or value != options[name].default
        }
        own = given.pop(OPTIONS)
        return given | ({OPTIONS: _from_toml(own)} if own else {})

    names = f"{', '.join(registry)}, or one of your own: MODULE:NAME."
    own = "Of one of your own: its keyword arguments, such as '{ depth = 2 }'."
    return StructConstructorSpec(
        made,
        (
            StructFieldSpec(NAME, str, info.default.name, names),
            *options.values(),
            StructFieldSpec(OPTIONS, str, "", own),
        ),
    )


@RULES.primitive_rule
def _one_flag(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Of several things, or of one that need not be: a name, or what TOML would have."""
    if get_origin(info.type) is None or not any(map(_mentions_described, get_args(info.type))):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME|TOML",
        instance_from_str=lambda texts: _from_toml(texts[0]),
        is_instance=lambda _: True,
        str_from_instance=lambda value: [str(value) if value else "none"],
    )


def _registry_of(kind: type[Described]) -> SpecRegistry[Any]:
    """In which things of a kind are found."""
    return next(
        registry for registry in SpecRegistry.every if issubclass(kind, registry.own.__mro__[1])
    )


def _is_described(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Described)


def _mentions_described(kind: Any) -> bool:
    return _is_described(kind) or any(map(_mentions_described, get_args(kind)))


def _from_toml(text: str) -> Any:
    """A table or a list as TOML writes it; anything else is a name."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError as error:  # of a number of thousands of digits, too
        raise InputError(
            f"{text!r} is no table or list as TOML has them ({error}): write it as "
            """'{ name = "whiten", kind = "zca" }'"""
        ) from error


def _options(registry: SpecRegistry[Any]) -> dict[str, StructFieldSpec]:
    """A flag for each option, with what it is in each of the things that have it."""
    found: dict[str, StructFieldSpec] = {}
    for name, cls in registry.items():
        texts, kinds = _texts(cls), get_type_hints(cls)
        for each in fields(cls):
            default = each.default
            kind: Any = kinds[each.name]
            told = f"{name}: {texts.get(each.name, each.name)}"
            if (other := found.get(each.name)) is not None:
                told = f"{other.helptext} {told}"
                if default != other.default:  # what is not given is left to the thing
                    kind, default = kind | None, None
                kind = kind | other.type
            found[each.name] = StructFieldSpec(each.name, kind, default, told)
    return found


def _texts(cls: type) -> dict[str, str]:
    """What stands under each field of a class and of those that it extends."""
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__[:-1]):
        texts |= _own_texts(each)
    return texts


def _own_texts(cls: type) -> dict[str, str]:
    texts: dict[str, str] = {}
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):  # of a package that comes without its source, or in C
        return texts
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            texts[field.target.id] = " ".join(str(below.value.value).split())
    return texts
