"""Figure 1: its runs against Appendix A, and what is drawn of them."""

import pandas as pd

from wider.experiments import figure_1, figure_9
from wider.experiments._resnet import dataset_title


def test_paper_scale_is_appendix_a_to_the_letter():
    specs = figure_1.EXPERIMENT.scale("paper").specs()
    for spec in specs:
        assert spec.recipe.model_dump() == {
            "epochs": 300,
            "batch_size": 128,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "milestones": (50, 120, 200),
            "augmentation": "crop" if spec.data.dataset == "svhn" else "crop-flip",
        }
        assert spec.widening.base_width == 18
        assert spec.data.num_train is None
    # Three datasets, three seeds; seven sparse widths and six dense ones: the baseline is one net.
    assert len(specs) == 3 * 3 * (7 + 6)


def test_laptop_scale_is_that_of_base_width_8():
    specs = figure_1.EXPERIMENT.scale("laptop").specs()
    assert [spec.widening.width for spec in specs] == [8, 16, 32, 64]
    assert {spec.widening.base_width for spec in specs} == {8}
    assert {spec.data.dataset for spec in specs} == {"cifar10"}


def rows(**columns) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    return table.assign(
        status="finished", dataset="cifar10", base_width=8, best_test_accuracy=0.5,
        final_test_accuracy=table["final_test_accuracy"], data_encoding="jpeg",
    )  # fmt: skip


def test_the_baseline_is_the_first_member_of_both_lines():
    table = rows(
        method=["sparse", "sparse", "dense"],
        width=[8, 16, 16],
        final_test_accuracy=[0.1, 0.2, 0.3],
    )
    means = figure_1.summarise(table).set_index(["method", "width"])["final_test_accuracy"]
    assert means.to_dict() == {
        ("sparse", 8): 0.1,
        ("sparse", 16): 0.2,
        ("dense", 8): 0.1,
        ("dense", 16): 0.3,
    }
    assert set(figure_1.summarise(table[table["method"] == "sparse"])["method"]) == {"sparse"}


def test_re_encoded_images_are_called_so():
    table = rows(method=["sparse"], width=[8], final_test_accuracy=[0.1])
    assert dataset_title(table, "cifar10") == "re-encoded CIFAR-10"
    assert dataset_title(table.assign(data_encoding="png"), "cifar10") == "CIFAR-10"


def test_figure_9_shares_its_baseline_between_the_patterns():
    specs = figure_9.EXPERIMENT.scale("paper").specs()
    assert len(specs) == 10 * 3 * (7 + 6)
    assert {spec.widening.base_width for spec in specs} == {8, 12, 18}
    table = rows(
        pattern=["uniform", "uniform", "io"],
        width=[8, 16, 16],
        final_test_accuracy=[0.1, 0.2, 0.3],
    )
    means = figure_9.summarise(table).set_index(["pattern", "width"])["final_test_accuracy"]
    assert means.to_dict() == {
        ("uniform", 8): 0.1,
        ("uniform", 16): 0.2,
        ("io", 8): 0.1,
        ("io", 16): 0.3,
    }
