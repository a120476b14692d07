"""Things that are found by name: those here, those of other packages, and a user's own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, field, fields
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, TypeVar

from wider.errors import InputError
from wider.own_code import find_own, is_own

LONGEST = 100  # characters of a name that a message shows

Entry = TypeVar("Entry")
Registered = TypeVar("Registered")
Number = TypeVar("Number", int, float)

BOUNDS = "bounds"


class Registry(Mapping[str, Entry], Generic[Entry]):
    """All of one noun, such as allocations, by name.

    A name is one of those that are registered here, that of an entry point of another package, or
    `module:name` for what a user's own module has.

    Args:
        noun: what they are, in the singular; for messages.
        group: of the entry points with which other packages add theirs.

    Example:
        >>> ALLOCATIONS = Registry("allocation", group="wider.allocations")
        >>> @ALLOCATIONS.register("level")
        ... def level(shapes, num_weights): ...
        >>> ALLOCATIONS.find("level") is level
        True
    """

    def __init__(self, noun: str, *, group: str) -> None:
        self.noun = noun
        self.group = group
        self._own: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """A decorator that adds what it decorates under a name.

        Raises:
            ValueError: something else has that name.
        """

        def add(entry: Registered) -> Registered:
            if self._own.setdefault(name, entry) is not entry:  # pyright: ignore[reportArgumentType]
                raise ValueError(f"there are two {self.noun}s {name!r}")
            return entry

        return add

    def find(self, name: str) -> Entry:
        """What has a name.

        Raises:
            InputError: nothing has, or it cannot be imported.
        """
        if isinstance(name, str) and is_own(name):
            return find_own(name)
        if name in self._own:
            return self._own[name]
        if name in self._of_others:
            return self._loaded(self._of_others[name])
        known = ", ".join(map(repr, self))
        said = repr(name) if len(str(name)) <= LONGEST else f"{str(name)[:LONGEST]!r}..."
        raise InputError(
            f"unknown {self.noun} {said}; use {known}, or MODULE:NAME for one of your own"
        )

    # By identity, as annotations of types are compared and hashed.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> Entry:
        if name not in self:
            raise KeyError(name)
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._of_others

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._of_others if name not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._of_others.keys())

    @cached_property
    def _of_others(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _loaded(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except Exception as error:
            raise InputError(
                f"the {self.noun} {point.name!r} cannot be imported from {point.value} "
                f"({type(error).__name__}: {error}): update or remove the package that has it"
            ) from error


def bounded(default: Number, least: Number, most: Number) -> Number:
    """An option whose values are checked when what it describes is made.

    Args:
        default: its value where none is given.
        least: the smallest value that is allowed.
        most: the largest.
    """
    return field(default=default, metadata={BOUNDS: (least, most)})


class Described:
    """A frozen dataclass that a name and options describe: a model, an optimiser, a schedule.

    Its fields are the options, each with a default; it checks their values when it is made. That of
    a user's own code has the fields `name` and `options`, keyword arguments of that code.

    Attributes:
        name: under which its class is registered, or a user's own `module:name`.
    """

    name: str

    def __post_init__(self) -> None:
        for name, (least, most) in _bounds(type(self)).items():
            if not least <= (value := getattr(self, name)) <= most:
                raise InputError(f"{name} is {value}: use {least:,} to {most:,}")

    @property
    def table(self) -> dict[str, Any]:
        """The name and all options, those at their defaults too."""
        return {"name": self.name} | {name: getattr(self, name) for name in defaults(type(self))}

    @property
    def changed(self) -> dict[str, Any]:
        """The name, and the options that are not at their defaults."""
        found = {"name": self.name}
        for name, default in defaults(type(self)).items():
            if (value := getattr(self, name)) != default:
                found[name] = value
        return found


Spec = TypeVar("Spec", bound=Described)


class SpecRegistry(Registry[type[Spec]]):
    """Classes of one kind of `Described`, by name.

    Args:
        noun: as `Registry` takes it.
        group: the same.
        own: the class of what is a user's own, right below that of the noun.

    Attributes:
        every: that there is.
    """

    every: ClassVar[list["SpecRegistry[Any]"]] = []

    def __init__(self, noun: str, *, group: str, own: type[Spec]) -> None:
        super().__init__(noun, group=group)
        self.own = own
        self.every.append(self)

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """See `Registry`."""

        def add(entry: Registered) -> Registered:
            entry.name = name  # pyright: ignore[reportAttributeAccessIssue]
            return super(SpecRegistry, self).register(name)(entry)

        return add

    def make(self, name: str, options: Mapping[str, Any]) -> Spec:
        """What a name and options describe.

        Args:
            name: as `find` takes it.
            options: by name; those that are missing are at their defaults. Of a user's own code
                `options` alone, a mapping of keyword arguments.

        Raises:
            InputError: there is no such name or option, or a value that is not allowed.
        """
        if is_own(name):
            known, made = ["options"], {"name": name}
            cls = self.own
        else:
            cls, made = self.find(name), {}
            known = list(defaults(cls))
        if unknown := [option for option in options if option not in known]:
            raise InputError(
                f"the {self.noun} {name!r} has no {', '.join(map(repr, unknown))}; it has "
                f"{', '.join(map(repr, known)) or 'no options'}"
            )
        return cls(**made, **options)


@cache
def defaults(cls: type[Described]) -> Mapping[str, Any]:
    """The options of a class of `Described`, and their defaults."""
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in _fields(cls)
    }


@cache
def _bounds(cls: type[Described]) -> Mapping[str, tuple[float, float]]:
    return {each.name: each.metadata[BOUNDS] for each in _fields(cls) if BOUNDS in each.metadata}


def _fields(cls: type[Any]) -> list[Field[Any]]:
    return [each for each in fields(cls) if each.name != "name"]
