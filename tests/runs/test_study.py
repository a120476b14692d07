"""What a study's file asks for, and what is said of a wrong one."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
import tomlkit
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wider.data import Augmentation, Normalisation, Preprocessing
from wider.errors import InputError
from wider.models import Activation, MLPSpec
from wider.runs import Method, RunSpec, Study, Widening, check_nets, read_study
from wider.sparsity import ALLOCATIONS, PATTERNS
from wider.tasks import Task
from wider.training import Recipe

EXAMPLE = Path(__file__).parents[2] / "examples" / "study.toml"

STUDY = """title = "Mine"

[data]
dataset = "digits"

[widening]
base_width = 4

[recipe]
epochs = 2

[grid]
widening.method = ["sparse", "dense"]
widening.width = [4, 8, 16]
seed = [0, 1]
"""

WIDENINGS = st.integers(1, 9).flatmap(
    lambda base: st.builds(
        Widening,
        method=st.sampled_from(get_args(Method)),
        base_width=st.just(base),
        width=st.integers(base, 100),
        allocation=st.sampled_from(list(ALLOCATIONS))
        | st.dictionaries(
            st.text(max_size=9), st.integers(1, 2**63 - 1) | st.floats(1e-300, 1), max_size=3
        ),
        pattern=st.sampled_from(list(PATTERNS)),
    )
)
SPECS = st.builds(
    RunSpec,
    data=st.builds(
        Preprocessing,
        dataset=st.text(max_size=9),
        normalisation=st.sampled_from(get_args(Normalisation)),
        num_train=st.none() | st.integers(1, 2**31 - 1),
        classes=st.lists(st.integers(0, 9), max_size=3).map(tuple),
        grey=st.booleans(),
    ),
    model=st.builds(
        MLPSpec,
        num_hidden_layers=st.integers(1, 9),
        activation=st.sampled_from(get_args(Activation)),
    ),
    widening=WIDENINGS,
    recipe=st.builds(
        Recipe,
        learning_rate=st.floats(1e-300, 1e300),
        weight_decay=st.floats(0, 1),
        milestones=st.lists(st.integers(1, 300), max_size=3).map(tuple),
        augmentation=st.sampled_from(get_args(Augmentation)),
    ),
    seed=st.integers(-(2**63), 2**63 - 1),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def read(text: str, folder: Path) -> Study:
    path = folder / "study.toml"
    path.write_bytes(text.encode())
    return read_study(path)


def fields(spec: RunSpec) -> dict[str, Any]:
    """Those of a spec that TOML can hold: it has no null."""
    document = json.loads(spec.model_dump_json(exclude_none=True))
    # Of a float that is whole, JSON would do without the point.
    document["widening"]["allocation"] = spec.model_dump()["widening"]["allocation"]
    return document


def nets(study: Study) -> list[tuple[int, str, int]]:
    return [(spec.seed, spec.widening.method, spec.widening.width) for spec in study.specs]


def test_the_grid_by_hand(folder: Path):
    study = read(STUDY, folder)
    assert study.title == "Mine"
    of_one_seed = [("sparse", 4), ("sparse", 8), ("sparse", 16), ("dense", 8), ("dense", 16)]
    # The dense net of the base width is the sparse one.
    assert nets(study) == [(seed, *net) for seed in (0, 1) for net in of_one_seed]
    assert study.specs[0] == RunSpec(
        data=Preprocessing(dataset="digits"),
        widening=Widening(method="sparse", base_width=4, width=4),
        recipe=Recipe(epochs=2),
        seed=0,
    )
    assert {spec.recipe.epochs for spec in study.specs} == {2}


@given(spec=SPECS)
def test_the_fields_of_any_spec_give_that_spec(spec: RunSpec, folder: Path):
    study = read(tomlkit.dumps(fields(spec)), folder)
    assert study.specs == (spec,)
    assert study.title == "study"


@given(spec=SPECS)
def test_a_grid_of_one_point_is_that_point(spec: RunSpec, folder: Path):
    document = fields(spec)
    grid = {
        "data": {"classes": [document["data"].pop("classes")]},
        "recipe": {"milestones": [document["recipe"].pop("milestones")]},
        "model": {"activation": [document["model"].pop("activation")]},
        "seed": [document.pop("seed")],
    }
    assert read(tomlkit.dumps({**document, "grid": grid}), folder).specs == (spec,)


def test_lists_and_tables_are_values_too(folder: Path):
    text = """
    seed = 0
    [grid]
    recipe.milestones = [[], [50, 120]]
    widening.allocation = ["level", { output = 0.5, "hidden.0" = 300 }]
    """
    study = read(text, folder)
    found = [(spec.recipe.milestones, spec.widening.allocation) for spec in study.specs]
    explicit = {"output": 0.5, "hidden.0": 300}
    assert found == [
        ((), "level"),
        ((), explicit),
        ((50, 120), "level"),
        ((50, 120), explicit),
    ]


def test_one_layer_of_an_allocation_can_vary(folder: Path):
    text = (
        "seed = 0\n[widening]\nallocation.other = 9\n[grid]\nwidening.allocation.output = [0.2, 1]"
    )
    found = [spec.widening.allocation for spec in read(text, folder).specs]
    # One weight, not all of them: 1 and 1.0 are not the same.
    assert [str(each) for each in found] == [
        "{'other': 9, 'output': 0.2}",
        "{'other': 9, 'output': 1}",
    ]


def test_nets_that_are_the_same_are_trained_once(folder: Path):
    text = """
    seed = 0
    widening.base_width = 4
    model.num_hidden_layers = 2
    [grid]
    widening.method = ["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]
    widening.allocation = [{ output = 0.5 }, "level"]
    widening.width = [4, 8]
    """
    found = [
        (spec.widening.method, spec.widening.width, spec.widening.allocation)
        for spec in read(text, folder).specs
    ]
    # Only sparse nets have an allocation; of the base width there is the dense net and the one with
    # two layers for each. Of several descriptions the plainest is taken.
    explicit = {"output": 0.5}
    assert found == [
        ("sparse", 4, "level"),
        ("dense", 8, "level"),
        ("sparse", 8, explicit),
        ("sparse", 8, "level"),
        ("linear_bottleneck", 4, "level"),
        ("linear_bottleneck", 8, "level"),
        ("nonlinear_bottleneck", 8, "level"),
    ]


@settings(max_examples=20)
@given(st.data())
def test_the_order_of_lists_changes_no_key(data: st.DataObject):
    lists = {
        "widening.method": ["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"],
        "widening.allocation": ["level", "proportional", {"output": 0.5}],
        "widening.pattern": ["uniform", "io"],
        "widening.width": [4, 8],
        "seed": [0, 1],
    }
    order = data.draw(st.permutations(list(lists)))
    shuffled = {name: data.draw(st.permutations(lists[name])) for name in order}
    assert keys_of_grid(shuffled) == keys_of_grid(lists)


def keys_of_grid(lists: dict[str, list]) -> set[str]:
    text = "widening.base_width = 4\nmodel.num_hidden_layers = 2\n[grid]\n"
    for name, values in lists.items():
        written = json.dumps(values).replace('{"output": ', "{output = ")
        text += f"{name} = {written}\n"
    with TemporaryDirectory() as folder:
        return {spec.key for spec in read(text, Path(folder)).specs}


def test_nets_called_the_same_are_the_same(folder: Path):
    """Otherwise the study would lack one of them."""
    task = Task.of_images((1, 8, 8), 10)
    built = [
        RunSpec(
            model=MLPSpec(num_hidden_layers=2),
            widening=Widening(method=method, base_width=4, width=4, allocation="proportional"),
        ).build(task)
        for method in ("dense", "sparse", "nonlinear_bottleneck")
    ]
    images = torch.linspace(-1, 1, 640).reshape(10, 1, 8, 8)
    dense, *others = [net(images) for net in built]
    assert all(bool((dense == other).all()) for other in others)


def test_an_allocation_that_the_base_width_does_not_have_is_the_baseline(folder: Path):
    text = STUDY + "widening.allocation = [{ output = 0.2 }, { output = 0.5 }]\n"
    study = read(text, folder)
    (baseline, *_) = [spec for spec in study.specs if spec.widening.width == 4]
    assert baseline.widening.allocation == "level"
    assert sum(spec.widening.width == 4 for spec in study.specs) == 2  # one a seed
    check_nets(study.specs)


def test_nets_that_do_not_exist_are_named_before_any_is_trained(folder: Path):
    text = STUDY.replace("16]", "64]") + "widening.allocation = [{ output = 0.5 }]\n"
    study = read(text, folder)
    name = r"digits mlp ReLU sparse \(output 0.5\) width 64 seed 0"
    with pytest.raises(InputError, match=f"{name}: the layers named keep 320 of 296 weights"):
        check_nets(study.specs)
    check_nets(read(STUDY, folder).specs)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"sparse",', '"spars",', "line 13: widening.method is 'spars': input should be 'dense', "),
        ("[4, 8, 16]", '[4,\n8, "16"]', "line 15: widening.width is '16': input should be a valid"),
        ("epochs = 2", "epochs = 2.0", "line 10: recipe.epochs is 2.0: input should be a valid"),
        ("epochs = 2", "epochs = 0", "line 10: recipe.epochs is 0: input should be greater than"),
        ("epochs = 2", "epoch = 2", "line 10: recipe.epoch is unknown; use one of: epochs, batch"),
        ("epochs = 2", "learning_rate = nan", "line 10: recipe.learning_rate is nan: input should"),
        ("epochs = 2", "milestones = 2", "line 10: recipe.milestones is 2: input should be a list"),
        ("epochs = 2", "milestones = [\n1,\n0]", "line 12: recipe.milestones.1 is 0: input should"),
        ("[recipe]", "[recip]", "line 9: recip is unknown; use one of: title, grid, data, model"),
        ("[recipe]", "[[recipe]]", "line 9: recipe is [{'epochs': 2}]: input should be a table"),
        ('title = "Mine"', "title = 3", "line 1: title is 3: put it in quotation marks"),
        ('"digits"', "1979-05-27", "line 4: data.dataset is datetime.date(1979, 5, 27): input"),
        ("base_width = 4", 'allocation = "leve"', "line 7: widening.allocation is 'leve': unknown "
         "allocation 'leve'; use 'level', 'proportional', 'erdos_renyi', or MODULE:NAME for one of "
         "your own; or: input should be a table"),
        ("base_width = 4", 'allocation.output = "x"', "line 7: widening.allocation.output is 'x'"),
        # Fields that do not go together: the combination, where it is in the grid.
        ("[4, 8, 16]", "[4, 2]", "line 13: widening: width 2 is below base_width 4: use a larger "
         "width or a smaller base_width (here widening.method = 'sparse', widening.width = 2)"),
        ("epochs = 2", 'schedule = "cosine"\nmilestones = [1]', "line 9: recipe: milestones are"),
        ("seed = [", "kernel_pairs = [9]\nmodel.activation = ['identity']\nseed = [",
         "line 12: kernel_pairs is 9, but"),
        # The grid itself.
        ("[0, 1]", "[]", "line 15: seed is an empty list: give it a value, or leave it out"),
        ("[0, 1]", "0", "line 15: seed is 0, no list: use [0], or move it out of [grid]"),
        ("[0, 1]", "[0,\n1,\n0]", "line 17: seed has 0 twice: once is enough"),
        ("seed = [0, 1]", "", "study.toml: no seed is given: add `seed = [0, 1, 2]` under [grid]"),
        ("base_width = 4", "width = 4", "line 14: widening.width is both in [grid] and outside"),
        ("widening.width", "widening.wdith", "line 14: widening.wdith is unknown; use one of: met"),
        ("widening.width", '"widening.width"', 'line 14: "widening.width" is unknown; use one of'),
    ],
)  # fmt: skip
def test_errors_point_at_their_line(old: str, new: str, message: str, folder: Path):
    assert old in STUDY
    with pytest.raises(InputError) as error:
        read(STUDY.replace(old, new), folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "study.toml" in str(error.value)


def test_a_field_cannot_vary_inside_a_value(folder: Path):
    text = 'seed = 0\nwidening.allocation = "level"\n[grid]\nwidening.allocation.output = [1, 2]'
    with pytest.raises(InputError, match=r"line 4: widening.allocation.output is both in \[grid\]"):
        read(text, folder)


def test_a_grid_that_is_no_table_is_refused(folder: Path):
    with pytest.raises(InputError, match="line 2: grid is no table: write a line"):
        read("seed = 0\ngrid = 3", folder)


def test_the_committed_example_is_a_study():
    study = read_study(EXAMPLE)
    # A baseline, and three wider nets of each of: dense, level, proportional; five seeds.
    assert len(study.specs) == 5 * (1 + 3 * 3)
    assert {spec.widening.base_width for spec in study.specs} == {4}
    check_nets(study.specs)
