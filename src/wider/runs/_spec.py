"""The complete description of one run, and the key that follows from it."""

import hashlib
import json
import math
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import nn

from wider.data import Preprocessing
from wider.families import Family
from wider.fields import Seed, Width
from wider.models import ACTIVATION_NAMES, MLP, Activation, Parametrization, ResNet18, Stem
from wider.sparsity import AllocationName, Pattern
from wider.training import Recipe

OWN_FIELDS = {
    "mlp": {"num_hidden_layers", "activation", "bias", "parametrization", "batch_norm"},
    "resnet18": {"stem"},
}

# Fields that came later: at their default they are left out of the key, so that runs keep theirs.
LATER_FIELDS = {
    "data": {
        "scaled_by",
        "image_size",
        "classes",
        "grey",
        "shrunk_to",
        "context",
        "tokenizer",
        "target",
        "transformations",
    },
    "model": {"stem", "batch_norm"},
    "widening": {"exclude"},
    "recipe": {"schedule", "milestones", "augmentation"},
}

SCHEMA_VERSION = 1  # part of every key: raise it when the same spec comes to mean another run


Method = Literal["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]


class ModelSpec(BaseModel, frozen=True, extra="forbid"):
    """The architecture, apart from its width."""

    name: Literal["mlp", "resnet18"] = "mlp"
    """The architecture. Each of the other fields belongs to one of them; leave the rest alone."""
    num_hidden_layers: Annotated[int, Field(ge=1, le=10_000)] = 1
    """mlp: hidden layers, all of the same width."""
    activation: Activation = "relu"
    """mlp: after each hidden layer; "identity" gives a linear net."""
    bias: bool = True
    """mlp: whether the layers have biases."""
    parametrization: Parametrization = "standard"
    """mlp: PyTorch's own, or that of the neural tangent kernel."""
    batch_norm: bool = False
    """mlp: whether BatchNorm follows the activation of each hidden layer."""
    stem: Stem = "cifar"
    """resnet18: its first layer, for small images or for those of ImageNet."""

    @property
    def keywords(self) -> dict[str, Any]:
        """What the architecture is made with, apart from sizes."""
        return self.model_dump(include=OWN_FIELDS[self.name])

    @model_validator(mode="after")
    def _nothing_of_another_architecture(self) -> Self:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in {"name", *OWN_FIELDS[self.name]} and value != field.default:
                raise ValueError(
                    f"{name} is {value!r}, but {self.name} has no such thing: leave it out"
                )
        return self


class Widening(BaseModel):
    """How the net is widened."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = "sparse"
    """Sparse and the bottlenecks keep the number of weights of the base width; dense, the control,
    lets it grow."""
    base_width: Width = 5
    """Width of the dense baseline, which sets the number of weights."""
    width: Width = 80
    """Width of this net."""
    allocation: AllocationName | dict[str, int | float] = "level"
    """How many weights each layer keeps: a rule, or LAYER NUMBER pairs, where a whole number counts
    weights and a fraction is the layer's connectivity; layers not named share the rest."""
    pattern: Pattern = "uniform"
    """Which weights a layer keeps."""
    exclude: tuple[Annotated[str, Field(min_length=1)], ...] = ()
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

    data: Preprocessing = Preprocessing()
    """Images and how they are prepared."""
    model: ModelSpec = ModelSpec()
    """The architecture."""
    widening: Widening = Widening()
    """The member of the family."""
    recipe: Recipe = Recipe()
    """How it is trained."""
    seed: Seed = 0
    """Initial weights, masks and the order of the images are separate streams of this seed."""
    kernel_pairs: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Pairs of test images over which the distance of the untrained net's kernel from its
    infinitely wide limit is predicted, and measured where it has NTK parametrisation and no biases;
    0 for none. For ReLU MLPs with one hidden layer and without BatchNorm."""

    @model_validator(mode="after")
    def _has_a_kernel(self) -> Self:
        model = self.model
        one_layer = model.name == "mlp" and model.num_hidden_layers == 1
        plain = model.activation == "relu" and not model.batch_norm
        has_kernel = one_layer and plain and self.widening.method in ("dense", "sparse")
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
        document = {"schema_version": SCHEMA_VERSION, **self.model_dump(mode="json")}
        defaults = _defaults()
        for part, names in LATER_FIELDS.items():
            for name in names:
                if document[part][name] == defaults[part][name]:
                    del document[part][name]
        if not self.kernel_pairs:
            del document["kernel_pairs"]
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
        parts = [self.data.dataset, self.model.name, widening.method]
        if self.model.name == "mlp":
            parts.insert(2, ACTIVATION_NAMES[self.model.activation])
        if widening.method == "sparse":
            parts.append(f"({allocation})")
        if widening.exclude:
            parts.append(f"without {', '.join(widening.exclude)}")
        return " ".join([*parts, f"width {widening.width}", f"seed {self.seed}"])

    def build(self, *, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """The freshly initialised net of this run.

        Args:
            image_shape: channels, height, width of an image.
            num_classes: outputs of the net.

        Returns:
            The net, on the CPU; the same one for the same spec, on every machine.

        Raises:
            InputError: the member does not exist (see `Family`).
        """
        family = self.family(image_shape=image_shape, num_classes=num_classes)
        widening = self.widening
        options: dict[str, Any] = {"seed": self.seed}
        if widening.method == "sparse":
            options |= {"allocation": widening.allocation, "pattern": widening.pattern}
        return getattr(family, widening.method)(widening.width, **options)

    def family(self, *, image_shape: tuple[int, int, int], num_classes: int) -> Family:
        """The family that this run's net is a member of; arguments as in `build`."""
        keywords = {"num_classes": num_classes, **self.model.keywords}
        members = {"base_width": self.widening.base_width, "exclude": self.widening.exclude}
        if self.model.name == "resnet18":
            return Family(ResNet18, **members, in_channels=image_shape[0], **keywords)
        return Family(MLP, **members, in_features=math.prod(image_shape), **keywords)


@cache
def _defaults() -> dict[str, Any]:
    """Of all fields, as they are written; the same every time, and every key needs them."""
    return RunSpec().model_dump(mode="json")
