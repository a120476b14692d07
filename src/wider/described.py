"""Fields of a spec that a name and options describe, as pydantic reads and writes them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from dataclasses import Field as DataclassField
from functools import cache
from typing import Annotated, Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from wider.errors import InputError
from wider.own_code import is_own
from wider.registry import BOUNDS, Described, SpecRegistry, defaults

NAME, OPTIONS = "name", "options"


@dataclass(frozen=True, eq=False)
class FromTable:
    """Put into the annotation of a field, says of which registry its values are.

    A value is a table of a name and options, or a name alone:
    `optimiser = { name = "adamw", learning_rate = 0.003 }`. Of a user's own code
    `{ name = "module:name", options = { ... } }`.

    Attributes:
        registry: in which names are looked up.
        default: the name where a table has none; None where it must have one.
    """

    registry: SpecRegistry[Any]
    default: str | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda described: described.table
            ),
        )

    def read(self, value: Any) -> Any:
        """From a table, a name or what they describe to the latter.

        Raises:
            ValueError: it is none of these, or there is no such name, option or value.
        """
        if isinstance(value, Described):
            # Once more from its table: of numbers, 1 and 1.0 would be two keys.
            return value if is_own(value.name) else self.read(value.changed)
        table = {NAME: value} if isinstance(value, str) else value
        if not isinstance(table, Mapping):
            raise ValueError(f"use a name, or a table with a name: {self._known}")
        options = dict(table)
        name = options.pop(NAME, self.default)
        if not isinstance(name, str):
            raise ValueError(f"its name is missing: use one of {self._known}")
        if is_own(name):
            checked = OwnOptions.model_validate(options, strict=True)
            return self.registry.make(name, checked.model_dump())
        try:
            cls = self.registry.find(name)
        except InputError as error:
            raise _at(NAME, name, str(error)) from error
        read = _model_of(cls).model_validate(_with_tuples(options), strict=True)
        return cls(**{key: getattr(read, key) for key in read.model_fields_set})

    def options_of(self, table: Mapping[str, Any]) -> list[str]:
        """The fields that a table of this name can have."""
        name = table.get(NAME, self.default)
        if not isinstance(name, str) or is_own(name):
            return [NAME, OPTIONS]
        return [NAME, *defaults(self.registry.find(name))]

    @property
    def _known(self) -> str:
        return ", ".join(map(repr, self.registry))


def _at(field: str, value: object, message: str) -> ValidationError:
    """An error of one of the fields of a table."""
    problem = PydanticCustomError("value_error", "{message}", {"message": message})
    details = InitErrorDetails(type=problem, loc=(field,), input=value)
    return ValidationError.from_exception_data("table", [details])


class OwnOptions(BaseModel):
    """The table of a user's own code, beside its name."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    options: dict[Annotated[str, Field(pattern=r"^[^\W\d]\w*$")], Any] = {}
    """Keyword arguments of that code."""


@cache
def _model_of(cls: type[Described]) -> type[BaseModel]:
    """A pydantic model of the fields of a dataclass, which says of each value what is wrong."""
    hints = get_type_hints(cls, include_extras=True)
    own: dict[str, Any] = {
        each.name: (hints[each.name], _field(each))
        for each in fields(cls)  # pyright: ignore[reportArgumentType]
        if each.name != NAME
    }
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return create_model(cls.__name__, __config__=config, **own)


def _field(each: DataclassField[Any]) -> Any:
    least, most = each.metadata.get(BOUNDS, (None, None))
    return Field(default=None if each.default is MISSING else each.default, ge=least, le=most)


def _with_tuples(value: Any) -> Any:
    """TOML and JSON have lists where specs, which never change, have tuples."""
    if isinstance(value, Mapping):
        return {name: _with_tuples(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_with_tuples(entry) for entry in value)
    return value
