"""What a study says of a model, and how a family follows from it."""

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from wider.errors import InputError
from wider.families import Family
from wider.own_code import find_own
from wider.registry import Described, SpecRegistry
from wider.tasks import Task


class ModelSpec(Described, ABC):
    """A model apart from its width: a frozen dataclass of its options.

    Attributes:
        name: by which it is found in `MODELS`, or a user's own `module:name`.
        same_uses: whether each weight is used equally often at every width, as in all nets whose
            inputs, strides and pools do not follow from it.
    """

    same_uses: ClassVar[bool] = False

    @abstractmethod
    def family(self, task: Task, *, base_width: int, exclude: Sequence[str] = ()) -> Family:
        """The family of this model for a task.

        Args:
            task: what its nets take and give.
            base_width: of the baseline, which sets the budget.
            exclude: patterns of names of what is left dense and not counted.

        Raises:
            InputError: there is no such net for this task.
        """

    @property
    def title(self) -> str:
        """What it is called in titles of pictures."""
        return self.label

    @property
    def label(self) -> str:
        """A short name for progress lines, with the options that are not at their defaults."""
        options = {name: value for name, value in self.changed.items() if name != "name"}
        return " ".join([self.name, *(f"{name} {value}" for name, value in options.items())])


@dataclass(frozen=True)
class OwnModel(ModelSpec):
    """A user's own model: a function, or a class, of the width.

    It is called with the width, with those of the task's sizes that its signature names (see
    `wider.tasks.Task.sizes`), and with the options.

    Args:
        name: `module:name`.
        options: further keyword arguments.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, json.dumps(dict(self.options), sort_keys=True, default=str)))

    @property
    def label(self) -> str:
        """See `ModelSpec`."""
        return " ".join([self.name, *(f"{name} {value}" for name, value in self.options.items())])

    def family(self, task: Task, *, base_width: int, exclude: Sequence[str] = ()) -> Family:
        """See `ModelSpec`."""
        architecture = find_own(self.name)
        sizes = self._sizes(architecture, task)
        return Family(
            architecture, base_width=base_width, exclude=exclude, **{**sizes, **self.options}
        )

    def _sizes(self, architecture: Callable[..., nn.Module], task: Task) -> dict[str, Any]:
        if not callable(architecture):
            raise InputError(f"{self.name} is {architecture!r}: name a function of the width")
        parameters = inspect.signature(architecture).parameters
        named = [name for name in parameters if name in ALL_SIZES and name not in self.options]
        needed = [name for name in named if parameters[name].default is inspect.Parameter.empty]
        there = task.sizes_for(tuple(needed), net=self.name)
        there |= {name: task.sizes[name] for name in named if name in task.sizes}
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if unknown := [name for name in self.options if name not in parameters and not takes_all]:
            raise InputError(
                f"{self.name} takes no {', '.join(map(repr, unknown))}; it takes "
                f"{', '.join(map(repr, parameters))}"
            )
        empty = inspect.Parameter.empty
        alone = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        others = list(parameters.values())[1:]  # the first one is the width
        if missing := [
            each.name
            for each in others
            if each.default is empty and each.kind in alone
            if each.name not in {*there, *self.options}
        ]:
            raise InputError(
                f"{self.name} needs {', '.join(missing)}, which is no size of the task: give it as "
                "one of the options"
            )
        return there


# All that `Task.sizes` can say.
ALL_SIZES = frozenset(
    name
    for task in (
        Task.of_images((1, 1, 1), 2),
        Task.of_tokens(1, 2),
        Task("features", (1,), "classes", 2),
    )
    for name in task.sizes
)

MODELS: SpecRegistry[ModelSpec] = SpecRegistry("model", group="wider.models", own=OwnModel)
"""Models by name. Another one is a class with this decorator, in a file of its own:

    @MODELS.register("name")
    @dataclass(frozen=True)
    class NameSpec(ModelSpec): ...
"""
