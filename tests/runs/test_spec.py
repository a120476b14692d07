"""What is run, and the key that it is found by."""

import copy
import hashlib
import json
import math
import pickle
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from wider.data import Augmentation, Preprocessing
from wider.errors import InputError
from wider.families import Family
from wider.models import (
    MLP,
    Activation,
    MLPSpec,
    ModelSpec,
    Parametrization,
    ResNet18,
    ResNet18Spec,
)
from wider.runs import SCHEMA_VERSION, Method, RunSpec, Widening
from wider.sparsity import ALLOCATIONS as RULES
from wider.sparsity import PATTERNS, connectivity, count_weights, weight_layers
from wider.tasks import Task
from wider.training import Recipe

# Another value for each field of a spec: one that is not its default.
OTHER: dict[tuple[str, ...], Any] = {
    ("data", "dataset"): "digits",
    ("data", "normalisation"): "unit",
    ("data", "num_train"): 1000,
    ("data", "num_validation"): 100,
    ("data", "split_seed"): 1,
    ("data", "scaled_by"): "all",
    ("data", "image_size"): 224,
    ("data", "classes"): (0, 1),
    ("data", "grey"): True,
    ("data", "shrunk_to"): 14,
    ("data", "context"): 32,
    ("data", "tokenizer"): "tokenizer.json",
    ("data", "target"): "price",
    ("data", "transformations"): ("whiten",),
    ("model", "num_hidden_layers"): 2,
    ("model", "activation"): "identity",
    ("model", "bias"): False,
    ("model", "parametrization"): "ntk",
    ("model", "batch_norm"): True,
    ("widening", "method"): "dense",
    ("widening", "base_width"): 6,
    ("widening", "width"): 81,
    ("widening", "allocation"): "proportional",
    ("widening", "pattern"): "io",
    ("widening", "exclude"): ("output",),
    ("recipe", "epochs"): 301,
    ("recipe", "batch_size"): 101,
    ("recipe", "learning_rate"): 0.2,
    ("recipe", "momentum"): 0.9,
    ("recipe", "weight_decay"): 1e-4,
    ("recipe", "schedule"): "cosine",
    ("recipe", "milestones"): (50, 120),
    ("recipe", "augmentation"): "crop",
    ("recipe", "optimiser"): {"name": "adamw"},
    ("recipe", "steps"): 1000,
    ("recipe", "objective"): "mean-squared-error",
    ("recipe", "metric"): "error",
    ("recipe", "clip_norm"): 1.0,
    ("recipe", "accumulate"): 2,
    ("recipe", "layer_rates"): {"name": "inverse-fan-in"},
    ("seed",): 1,
    ("kernel_pairs",): 10,
    ("measurements",): ("activations",),
}
# One needs the other; tested below.
TOGETHER = {("model", "name"), ("model", "stem"), ("recipe", "evaluate_every")}

RESNET: dict[str, Any] = {"name": "resnet18"}
IMAGENET: dict[str, Any] = {**RESNET, "stem": "imagenet"}

FRACTIONS = st.floats(1e-300, 1)
ALLOCATIONS = st.one_of(
    st.sampled_from(list(RULES)),
    st.dictionaries(st.text(max_size=5), st.integers(1, 10**12) | FRACTIONS, max_size=3),
)
WIDENINGS = st.integers(1, 100).flatmap(
    lambda base: st.builds(
        Widening,
        method=st.sampled_from(get_args(Method)),
        base_width=st.just(base),
        width=st.integers(base, 10**6),
        allocation=ALLOCATIONS,
        pattern=st.sampled_from(list(PATTERNS)),
        exclude=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
    )
)
SPECS = st.builds(
    RunSpec,
    data=st.builds(
        Preprocessing,
        dataset=st.text(max_size=5),
        num_train=st.none() | st.integers(1, 10**6),
        split_seed=st.integers(-(2**63), 2**63 - 1),
    ),
    model=st.builds(
        MLPSpec,
        num_hidden_layers=st.integers(1, 9),
        activation=st.sampled_from(get_args(Activation)),
        parametrization=st.sampled_from(get_args(Parametrization)),
        bias=st.booleans(),
        batch_norm=st.booleans(),
    ),
    widening=WIDENINGS,
    recipe=st.builds(
        Recipe,
        epochs=st.integers(1, 1000),
        learning_rate=st.floats(1e-300, 1e300),
        momentum=st.floats(0, 1, exclude_max=True),
        weight_decay=st.floats(0, 1e300),
        milestones=st.lists(st.integers(1, 300), max_size=2).map(tuple),
        augmentation=st.sampled_from(get_args(Augmentation)),
    ),
    seed=st.integers(-(2**63), 2**63 - 1),
)


def explicit(**allocation):
    return RunSpec(widening=Widening(allocation=allocation))


def changed(*path_and_value):
    *path, name, value = path_and_value
    document = RunSpec().model_dump()
    entry = document
    for part in path:
        entry = entry[part]
    entry[name] = value
    return RunSpec.model_validate(document)


def fields(model: type[BaseModel]) -> set[tuple[str, ...]]:
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {(name, *path) for path in fields(inner)}
        elif inner is ModelSpec:
            found |= {(name, option) for cls in (MLPSpec, ResNet18Spec) for option in cls().table}
        else:
            found.add((name,))
    return found


def key_by_hand(spec):
    document = json.loads(spec.model_dump_json()) | {"schema_version": SCHEMA_VERSION}
    # The first two models were one table.
    first = {"num_hidden_layers": 1, "activation": "relu", "bias": True}
    document["model"] = {**first, "parametrization": "standard", **document["model"]}
    # Fields that came later are left out at their default.
    for part, name, default in (
        ("data", "scaled_by", "used"),
        ("data", "image_size", None),
        ("data", "classes", []),
        ("data", "grey", False),
        ("data", "shrunk_to", None),
        ("data", "context", None),
        ("data", "tokenizer", None),
        ("data", "target", None),
        ("data", "transformations", []),
        ("model", "stem", "cifar"),
        ("model", "batch_norm", False),
        ("widening", "exclude", []),
        ("recipe", "schedule", "steps"),
        ("recipe", "milestones", []),
        ("recipe", "augmentation", "none"),
        ("recipe", "optimiser", None),
        ("recipe", "steps", None),
        ("recipe", "evaluate_every", None),
        ("recipe", "objective", None),
        ("recipe", "metric", None),
        ("recipe", "clip_norm", None),
        ("recipe", "accumulate", 1),
        ("recipe", "layer_rates", None),
    ):
        if document[part].get(name, default) == default:
            document[part].pop(name, None)
    for name in ("kernel_pairs", "measurements"):
        if not document[name]:
            del document[name]
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def test_the_key_of_the_default_spec():
    # Stores out there are found by it. It may change where SCHEMA_VERSION is raised or a field is
    # added, and then every stored run is trained again: be sure that it is meant.
    assert RunSpec().key == "14945930f3affdb41663146948f6af57d586268f72fba3473ad0409f20b8ed24"


@given(SPECS)
def test_the_key_is_the_digest_of_the_canonical_json(spec):
    assert spec.key == key_by_hand(spec)


@given(SPECS)
def test_a_spec_that_went_through_json_has_the_same_key(spec):
    for text in (spec.model_dump_json(), json.dumps(spec.model_dump(mode="json"))):
        back = RunSpec.model_validate_json(text)
        assert back.key == spec.key
        assert back == spec
        assert hash(back) == hash(spec)


@given(SPECS)
def test_copies_have_the_same_key(spec):
    for twin in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):  # noqa: S301
        assert (twin, twin.key, hash(twin)) == (spec, spec.key, hash(spec))


def test_every_field_changes_the_key():
    assert set(OTHER) == fields(RunSpec) - TOGETHER  # a new field needs an entry above
    specs = [RunSpec(), *(changed(*path, value) for path, value in OTHER.items())]
    assert len({spec.key for spec in specs}) == len(specs)
    assert len(set(specs)) == len(specs)


def test_a_resnet_is_another_run_and_so_is_one_with_another_stem():
    specs = [changed("model", model) for model in ({}, RESNET, IMAGENET)]
    assert len({spec.key for spec in specs}) == 3
    assert [spec.title.split()[1] for spec in specs] == ["mlp", "resnet18", "resnet18"]


def test_a_resnet_is_built_for_its_images():
    spec = RunSpec(
        model=ResNet18Spec(stem="imagenet"), widening=Widening(base_width=2, width=5), seed=3
    )
    net = spec.build(Task.of_images((1, 40, 40), 7))
    assert isinstance(net, ResNet18)
    family = Family(ResNet18, base_width=2, in_channels=1, num_classes=7, stem="imagenet")
    assert count_weights(net) == family.num_weights
    for ours, theirs in zip(net.parameters(), family.sparse(5, seed=3).parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_builds_the_member_of_the_family(method):
    spec = RunSpec(
        model=MLPSpec(num_hidden_layers=2),
        widening=Widening(method=method, base_width=4, width=9),
        seed=3,
    )
    task = Task.of_images((1, 8, 8), 10)
    expected = getattr(spec.family(task), method)(9, seed=3).state_dict()
    found = spec.build(task).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


@pytest.mark.parametrize(
    "model", [{"stem": "imagenet"}, {**RESNET, "bias": False}, {**RESNET, "activation": "identity"}]
)
def test_fields_of_another_architecture_are_refused(model):
    with pytest.raises(ValidationError) as refusal:
        changed("model", model)
    (error,) = refusal.value.errors()
    (option,) = model.keys() - {"name"}
    assert (error["type"], error["loc"]) == ("extra_forbidden", ("model", option))


def test_the_schema_version_changes_the_key(monkeypatch):
    before = RunSpec().key
    monkeypatch.setattr("wider.runs._spec.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    assert RunSpec().key != before


def test_fields_given_as_defaults_do_not_change_the_key():
    assert RunSpec(data=Preprocessing(dataset="mnist"), seed=0).key == RunSpec().key
    assert RunSpec(recipe=Recipe(learning_rate=0.1, momentum=0)).key == RunSpec().key


def test_one_weight_and_all_of_them_are_different_allocations():
    one, whole = explicit(output=1), explicit(output=1.0)
    assert one.key != whole.key
    for spec, kind in ((one, int), (whole, float)):
        back = RunSpec.model_validate_json(spec.model_dump_json())
        assert isinstance(back.widening.allocation, dict)
        assert type(back.widening.allocation["output"]) is kind
    # One of 80 x 10 weights in the last layer, or all 800.
    task = Task.of_images((1, 28, 28), 10)
    for spec, kept in ((one, 1), (whole, 800)):
        assert count_weights(spec.build(task).get_submodule("output")) == kept


def test_specs_of_different_keys_are_different():
    # As a key of dicts and sets, a spec must be equal to another just where its hash is.
    one, whole = explicit(output=1), explicit(output=1.0)
    assert one != whole


def test_the_order_of_an_allocation_does_not_matter():
    there, back = explicit(a=1, b=0.5), explicit(b=0.5, a=1)
    assert (there, there.key, hash(there)) == (back, back.key, hash(back))


def test_the_order_of_excluded_patterns_does_not_matter():
    specs = [RunSpec(widening=Widening(exclude=names)) for names in map(tuple, ("ab", "ba", "abb"))]
    assert len({spec.key for spec in specs}) == 1
    assert RunSpec(widening=Widening(exclude=())).key == RunSpec().key


def test_excluded_layers_are_dense_and_leave_the_budget_to_the_others():
    spec = RunSpec(widening=Widening(exclude=("output",)))
    net = spec.build(Task.of_images((1, 28, 28), 10))
    assert connectivity(net) == {"": 1 / 16, "hidden.0": 1 / 16}
    assert count_weights(net) == 5 * 784
    assert spec.title.endswith("width 80 seed 0")
    assert "without output" in spec.title


def test_a_spec_with_an_explicit_allocation_can_be_a_key():
    assert {explicit(output=0.5): "found"}[explicit(output=0.5)] == "found"


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (RunSpec, "model", "resnet"),
        (RunSpec, "model", {"num_hidden_layers": 0}),
        (RunSpec, "model", {"activation": "tanh"}),
        (RunSpec, "model", {"parametrization": "mup"}),
        (RunSpec, "model", {"bias": "perhaps"}),
        (RunSpec, "model", {"widht": 80}),
        (Widening, "method", "bottleneck"),
        (Widening, "base_width", 0),
        (Widening, "width", 0),
        (Widening, "width", 5.5),
        (Widening, "allocation", "largest"),
        (Widening, "allocation", {"output": math.nan}),
        (Widening, "allocation", {"output": math.inf}),
        (Widening, "allocation", {"output": "all"}),
        (Widening, "pattern", "block"),
        (Widening, "exclude", "output"),
        (Widening, "factor", 2),
        (Preprocessing, "num_train", 0),
        (Preprocessing, "num_validation", -1),
        (Preprocessing, "normalisation", "imagenet"),
        (Preprocessing, "augment", True),
        (RunSpec, "seed", 0.5),
        (RunSpec, "seed", None),
        (RunSpec, "engine", "native"),
        (RunSpec, "recipe", {"epochs": 0}),
    ],
)
def test_a_bad_value_is_refused_by_its_name(model, field, value):
    with pytest.raises(ValidationError) as refusal:
        model(**{field: value})
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}
    assert field in str(refusal.value)


def test_a_width_below_the_base_width_is_refused():
    assert Widening(base_width=5, width=5).width == 5
    with pytest.raises(ValidationError, match="width 4 is below base_width 5: use a larger"):
        Widening(base_width=5, width=4)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (RunSpec(), "seed"),
        (Widening(), "width"),
        (Preprocessing(), "dataset"),
    ],
)
def test_frozen(part, name):
    before = part.model_dump()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, name, 90)
    assert part.model_dump() == before


def test_titles():
    assert RunSpec(seed=3).title == "mnist mlp ReLU sparse (level) width 80 seed 3"
    assert (
        explicit(output=0.5, hidden=3).title
        == "mnist mlp ReLU sparse (output 0.5, hidden 3) width 80 seed 0"
    )
    dense = RunSpec(
        data=Preprocessing(dataset="digits"),
        model=MLPSpec(activation="identity"),
        widening=Widening(method="dense", width=7),
    )
    assert dense.title == "digits mlp linear dense width 7 seed 0"


def same(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(value, twin) for (name, value), (other, twin) in pairs)


def test_build_makes_the_net_that_is_described():
    task = Task.of_images((2, 3, 4), 7)
    model = MLPSpec(num_hidden_layers=2, activation="identity", bias=False)
    sparse = RunSpec(model=model, widening=Widening(base_width=3, width=9)).build(task)
    assert isinstance(sparse, MLP)
    assert sparse.activation(torch.tensor(-1.0)) == -1
    # 24 inputs, two hidden layers of 3, 7 outputs; the mask leaves as many at width 9.
    assert count_weights(sparse) == 24 * 3 + 3 * 3 + 3 * 7
    shapes = [tuple(layer.weight.shape) for layer in weight_layers(sparse).values()]
    assert shapes == [(9, 24), (9, 9), (7, 9)]
    assert sparse.output.bias is None

    dense = RunSpec(model=model, widening=Widening(method="dense", base_width=3, width=9))
    assert count_weights(dense.build(task)) == 24 * 9 + 9 * 9 + 9 * 7


def test_build_gives_the_same_net_each_time_and_another_for_another_seed():
    task = Task.of_images((1, 8, 8), 10)
    before = torch.get_rng_state()
    assert same(RunSpec(seed=1).build(task), RunSpec(seed=1).build(task))
    assert not same(RunSpec(seed=1).build(task), RunSpec(seed=2).build(task))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_that_does_not_exist_is_bad_input():
    with pytest.raises(InputError, match="last"):
        explicit(last=1.0).build(Task.of_images((1, 8, 8), 10))
