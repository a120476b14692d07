"""The runs of ResNet-18: Appendix A, and which of them are shared."""

from typing import Any

import pytest
import torch

from wider.families import Family
from wider.models import ResNet18
from wider.runs import Method, RunSpec
from wider.sparsity import count_weights
from wider.study import EXPERIMENTS, with_baselines
from wider.study.paper import dataset_title
from wider.study.resnet import figure_3
from wider.study.resnet.families import PAPER_FAMILIES
from wider.study.resnet.runs import IMAGENET_FAMILY, PAPER, resnet_runs
from wider.training import Recipe

from .tables import table_of

SMALL: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 128,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "steps",
    "milestones": (50, 120, 200),
    "augmentation": "crop-flip",
}
LARGE = SMALL | {
    "epochs": 150,
    "weight_decay": 1e-4,
    "schedule": "cosine",
    "milestones": (),
    "augmentation": "resized-crop",
}


def specs(name: str, scale: str) -> list[RunSpec]:
    return list(EXPERIMENTS[name].scale(scale).specs())


@pytest.mark.parametrize(
    "name", ["figure-1", "figure-3", "figure-5", "figure-6", "figure-9", "figure-11", "figure-13"]
)
def test_paper_scale_is_appendix_a_to_the_letter(name: str):
    for spec in specs(name, "paper"):
        dataset = spec.data.dataset
        if dataset == "imagenet":
            assert spec.recipe.model_dump() == Recipe().model_dump() | LARGE
            assert (spec.data.image_size, spec.model.table["stem"]) == (224, "imagenet")
            assert spec.widening.base_width == 64
        else:
            assert spec.recipe.model_dump() == Recipe().model_dump() | SMALL
            assert (spec.data.image_size, spec.model.table["stem"]) == (None, "cifar")
        assert spec.data.num_train is None


def test_base_widths_and_seeds_of_the_paper():
    def base_widths(name: str) -> set[int]:
        small = [spec for spec in specs(name, "paper") if spec.data.dataset != "imagenet"]
        return {spec.widening.base_width for spec in small}

    assert base_widths("figure-1") == base_widths("figure-6") == {18}
    assert base_widths("figure-3") == base_widths("figure-5") == {8, 12, 18, 40, 64}
    assert base_widths("figure-9") == {8, 12, 18}
    assert {spec.seed for spec in specs("figure-5", "paper")} == {0, 1, 2}
    assert {spec.seed for spec in specs("figure-9", "paper")} == set(range(10))
    assert {spec.data.dataset for spec in specs("figure-9", "paper")} == {"cifar10", "cifar100"}
    assert [spec.widening.width for spec in specs("table-1", "paper")] == 3 * [
        *(64, 90, 128, 181, 256),  # sparse, the first one is dense
        *(90, 128, 181, 256),
    ]


def test_runs_are_shared():
    def keys(name: str, scale: str) -> set[str]:
        return {spec.key for spec in specs(name, scale)}

    for scale in ("smoke", "laptop", "gpu", "paper"):
        assert keys("figure-5", scale) == keys("figure-11", scale) == keys("figure-13", scale)
    assert keys("table-1", "paper") == keys("figure-12", "paper") < keys("figure-1", "paper")
    assert keys("figure-1", "paper") == keys("figure-6", "paper")
    assert keys("figure-1", "laptop") < keys("figure-5", "laptop")
    # Of each family of Figure 3 the baselines are runs of Figure 5.
    baselines = [spec for spec in specs("figure-3", "paper") if spec.widening.method == "sparse"]
    assert len(baselines) == 5 * 2 * 3
    assert {spec.key for spec in baselines} < keys("figure-5", "paper")


def test_the_baseline_of_all_lines_but_the_linear_one_is_trained_once():
    runs = resnet_runs(
        PAPER,
        {8: (8, 16)},
        datasets=["svhn"],
        methods=["sparse", "dense", "nonlinear_bottleneck", "linear_bottleneck"],
        patterns=["uniform", "io"],
    )
    first = [run for run in runs if run.seed == 0]
    assert sum(run.widening.width == 8 for run in first) == 1 + 2
    assert len(runs) == 3 * len(first)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)


def test_the_baseline_becomes_the_first_member_of_other_lines_that_have_runs():
    runs = resnet_runs(PAPER, {8: (8, 16)}, datasets=["svhn"], methods=["sparse", "dense"])
    table = with_baselines(table_of(runs, lambda _: 0.5), "method", ["dense", "linear_bottleneck"])
    dense = table[(table["method"] == "dense") & (table["width"] == 8)]
    assert len(dense) == 3
    assert "linear_bottleneck" not in set(table["method"])


def test_re_encoded_images_are_called_so():
    runs = resnet_runs(PAPER, {8: (8,)}, datasets=["cifar10", "svhn", "imagenet"])
    table = table_of(runs, lambda _: 0.5)
    assert dataset_title(table, "cifar10") == "re-encoded CIFAR-10"
    assert dataset_title(table, "svhn") == "SVHN"
    assert dataset_title(table, "imagenet") == "ImageNet, resized to 256 pixels and stored as JPEG"


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("method", figure_3.KINDS)
def test_the_widest_bottlenecks_of_figure_3_exist(method: Method):
    for base_width, widths in figure_3.PAPER_FAMILIES[method].items():
        family = Family(ResNet18, base_width=base_width, num_classes=100)
        with torch.device("meta"):
            net = getattr(family, method)(widths[-1])
        linear = method == "linear_bottleneck"
        budget = family.num_explicit_weights if linear else family.num_weights
        assert 0.99 * budget < count_weights(net) <= budget


def test_families_start_at_their_base_width_and_grow_by_about_the_root_of_two():
    for families in (PAPER_FAMILIES, IMAGENET_FAMILY, *figure_3.PAPER_FAMILIES.values()):
        for base_width, widths in families.items():
            assert widths[0] == base_width
            for step, width in enumerate(widths):
                assert width == pytest.approx(base_width * 2 ** (step / 2), abs=1.01)
