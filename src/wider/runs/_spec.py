"""The complete description of one run, and the key that follows from it."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from torch import nn

from wider.columns import Column, Role
from wider.data import Preprocessing
from wider.described import FromTable
from wider.families import Family
from wider.fields import Seed, Width
from wider.models import MODELS, MLPSpec, ModelSpec
from wider.own_code import is_own
from wider.registry import Described, Registry
from wider.runs._measurements import MEASUREMENTS, Measurement
from wider.sparsity import ALLOCATIONS, PATTERNS
from wider.tasks import Task
from wider.training import Recipe

# What is in the key of every run. All fields that came later are in it where they are not at their
# default, and so will be those to come.
FIRST_FIELDS = {
    "data": {"dataset", "normalisation", "num_train", "num_validation", "split_seed"},
    "widening": {"method", "base_width", "width", "allocation", "pattern"},
    "recipe": {"epochs", "batch_size", "learning_rate", "momentum", "weight_decay"},
}
# The first two models were one table, whose fields stand in the keys of both.
FIRST_MODELS = {"mlp", "resnet18"}
FIRST_OPTIONS = {
    "num_hidden_layers": 1,
    "activation": "relu",
    "bias": True,
    "parametrization": "standard",
}
# As a measurement: with how many pairs where it does not say.
KERNEL_DISTANCE, KERNEL_PAIRS = "kernel-distance", 1000

FIRST_TABLE = {**FIRST_OPTIONS, "batch_norm": False, "stem": "cifar"}  # as files of then have it

READ_MODEL = FromTable(MODELS, default="mlp")

SCHEMA_VERSION = 1  # part of every key: raise it when the same spec comes to mean another run


Method = Literal["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]


def _known(registry: Registry[Any]) -> AfterValidator:
    """A name of a registry. A user's own code is not imported for it: to read a file runs none."""

    def check(name: str) -> str:
        if not is_own(name):
            registry.find(name)
        return name

    return AfterValidator(check)


class Widening(BaseModel):
    """How the net is widened."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Annotated[Method, Column(Role.LINE)] = "sparse"
    """Sparse and the bottlenecks keep the number of weights of the base width; dense, the control,
    lets it grow."""
    base_width: Annotated[Width, Column(Role.FAMILY)] = 5
    """Width of the dense baseline, which sets the number of weights."""
    width: Annotated[Width, Column(Role.WIDTH)] = 80
    """Width of this net."""
    allocation: Annotated[str, _known(ALLOCATIONS)] | dict[str, int | float] = "level"
    """How many weights each layer keeps: level, proportional, erdos_renyi, a rule of your own
    (MODULE:NAME), or LAYER NUMBER pairs, where a whole number counts weights and a fraction is the
    layer's connectivity; layers not named share the rest."""
    pattern: Annotated[str, _known(PATTERNS)] = "uniform"
    """Which weights a layer keeps: uniform, io, or a rule of your own (MODULE:NAME)."""
    exclude: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Column(Role.FAMILY)] = ()
    """Layers that stay dense and are not counted: patterns of their names, such as output."""

    @field_validator("exclude")
    @classmethod
    def _in_any_order(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(patterns)))

    @model_validator(mode="after")
    def _at_least_base_width(self) -> Self:
        if self.width < self.base_width:
            raise ValueError(
                f"width {self.width} is below base_width {self.base_width}: use a larger width or "
                "a smaller base_width"
            )
        return self


class RunSpec(BaseModel):
    """Everything that the outcome of a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Annotated[Preprocessing, Column(Role.FAMILY)] = Preprocessing()
    """Images and how they are prepared."""
    model: Annotated[ModelSpec, READ_MODEL, Column(Role.FAMILY)] = MLPSpec()
    """The architecture, apart from its width."""
    widening: Annotated[Widening, Column(Role.LINE)] = Widening()
    """The member of the family."""
    recipe: Annotated[Recipe, Column(Role.TRAINING)] = Recipe()
    """How it is trained."""
    seed: Annotated[Seed, Column(Role.SEED)] = 0
    """Initial weights, masks and the order of the images are separate streams of this seed."""
    kernel_pairs: Annotated[int, Field(ge=0, le=1_000_000), Column(Role.TRAINING)] = 0
    """Pairs of test images over which the distance of the untrained net's kernel from its
    infinitely wide limit is predicted, and measured where it has NTK parametrisation and no biases;
    0 for none. For ReLU MLPs with one hidden layer and without BatchNorm."""

    measurements: Annotated[
        tuple[Annotated[Measurement, FromTable(MEASUREMENTS)], ...], Column(Role.TRAINING)
    ] = ()
    """What is measured of the net before and after training: activations, gradient-norms,
    kernel-distance (the same as kernel_pairs), or your own (MODULE:NAME)."""

    @model_validator(mode="before")
    @classmethod
    def _kernel_distance_is_told_by_its_pairs(cls, values: Any) -> Any:
        """A measurement of the kernel distance becomes `kernel_pairs`: one run has one spec."""
        if not isinstance(values, Mapping) or not isinstance(
            values.get("measurements"), list | tuple
        ):
            return values
        kept, pairs = [], values.get("kernel_pairs", 0)
        for value in values["measurements"]:
            is_table = isinstance(value, Mapping)
            if (value.get("name") if is_table else value) != KERNEL_DISTANCE:
                kept.append(value)
                continue
            if pairs:
                raise ValueError("the kernel distance is asked for twice: once is enough")
            pairs = value.get("pairs", KERNEL_PAIRS) if is_table else KERNEL_PAIRS
            if is_table and (others := value.keys() - {"name", "pairs"}):
                raise ValueError(
                    f"{KERNEL_DISTANCE} has no {', '.join(sorted(map(repr, others)))}; it has pairs"
                )
        return {**values, "measurements": tuple(kept), "kernel_pairs": pairs}

    @field_validator("measurements")
    @classmethod
    def _each_once(cls, measurements: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
        names = [measurement.name for measurement in measurements]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} twice: once is enough")
        return measurements

    @field_validator("model", mode="before")
    @classmethod
    def _without_the_other_model(cls, model: Any) -> Any:
        """The first two models were one table, in which each had the other's fields, too."""
        if not isinstance(model, Mapping) or model.get("name", "mlp") not in FIRST_MODELS:
            return model
        own = READ_MODEL.options_of(model)
        return {
            name: value
            for name, value in model.items()
            if name in own or value != FIRST_TABLE.get(name, NOTHING)
        }

    @model_validator(mode="after")
    def _has_a_kernel(self) -> Self:
        model = self.model
        has_kernel = (
            isinstance(model, MLPSpec)
            and model.num_hidden_layers == 1
            and model.activation == "relu"
            and not model.batch_norm
            and self.widening.method in ("dense", "sparse")
        )
        if self.kernel_pairs and not has_kernel:
            raise ValueError(
                f"kernel_pairs is {self.kernel_pairs}, but the kernel distance is known for dense "
                "and sparse ReLU MLPs with one hidden layer and without BatchNorm only: use one, "
                "or leave it out"
            )
        return self

    # By key: an explicit allocation is a dict, which has no hash, and in which 1 weight equals a
    # connectivity of 1.0.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunSpec) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of all fields and the schema version, in hexadecimal.

        Fields that came after the first release are in it where they are not at their default.
        """
        document = {"schema_version": SCHEMA_VERSION, **_document(self)}
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def key_of_all_seeds(self) -> str:
        """One and the same for runs that differ in their seed alone: nets of the same shape."""
        return self.model_copy(update={"seed": 0}).key

    @property
    def title(self) -> str:
        """A short name for progress lines and tables."""
        widening = self.widening
        if isinstance(widening.allocation, str):
            allocation = widening.allocation
        else:
            allocation = ", ".join(f"{name} {kept}" for name, kept in widening.allocation.items())
        parts = [self.data.dataset, self.model.label, widening.method]
        if widening.method == "sparse":
            parts.append(f"({allocation})")
        if widening.exclude:
            parts.append(f"without {', '.join(widening.exclude)}")
        return " ".join([*parts, f"width {widening.width}", f"seed {self.seed}"])

    @property
    def own_code(self) -> list[str]:
        """The `module:name` of all that is a user's own in this spec."""
        parts = [self, self.data, self.widening, self.recipe]
        values = [value for part in parts for _, value in part]
        described = [entry for value in values for entry in _described(value)]
        widening = self.widening
        named = [self.data.dataset, widening.pattern, widening.allocation]
        named += [self.recipe.objective, self.recipe.metric]
        names = {name for name in named if isinstance(name, str)}
        names |= {entry.name for entry in described}
        return sorted(filter(is_own, names))

    def build(self, task: Task) -> nn.Module:
        """The freshly initialised net of this run.

        Args:
            task: what it takes and gives.

        Returns:
            The net, on the CPU; the same one for the same spec, on every machine.

        Raises:
            InputError: the member does not exist (see `Family`).
        """
        widening = self.widening
        options: dict[str, Any] = {"seed": self.seed}
        if widening.method == "sparse":
            options |= {"allocation": widening.allocation, "pattern": widening.pattern}
        return getattr(self.family(task), widening.method)(widening.width, **options)

    def family(self, task: Task) -> Family:
        """The family that this run's net is a member of; `task` as in `build`."""
        widening = self.widening
        return self.model.family(task, base_width=widening.base_width, exclude=widening.exclude)


NOTHING = object()


def _document(spec: RunSpec) -> dict[str, Any]:
    """What the key is the digest of."""
    document = spec.model_dump(mode="json")
    for name, (later, defaults) in _later_fields().items():
        part, own = document[name], getattr(spec, name)
        for field in later:
            if part[field] == defaults[field]:
                del part[field]
            else:
                part[field] = _changed(getattr(own, field), part[field])
    model = spec.model.changed
    document["model"] = {**FIRST_OPTIONS, **model} if model["name"] in FIRST_MODELS else model
    document["measurements"] = [each.changed for each in spec.measurements]
    for name in ("kernel_pairs", "measurements"):
        if not document[name]:
            del document[name]
    return document


def _changed(value: Any, dumped: Any) -> Any:
    """A value as the key has it: options that came later do not change it at their defaults."""
    found = [entry.changed for entry in _described(value)]
    if not found:
        return dumped
    return found if isinstance(value, tuple) else found[0]


@cache
def _later_fields() -> dict[str, tuple[list[str], dict[str, Any]]]:
    """Of each part the fields that came after the first release, and what all have by default."""
    defaults = RunSpec().model_dump(mode="json")
    return {
        name: ([field for field in defaults[name] if field not in first], defaults[name])
        for name, first in FIRST_FIELDS.items()
    }


def _described(value: Any) -> list[Described]:
    entries = value if isinstance(value, tuple) else (value,)
    return [entry for entry in entries if isinstance(entry, Described)]
