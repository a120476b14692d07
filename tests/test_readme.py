"""What the README shows is what happens."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch

import wider
from wider.report import runs_in_results
from wider.runs import read_study, read_table
from wider.study import EXPERIMENTS, verdicts
from wider.study.kernel import advice

README = (Path(__file__).parents[1] / "README.md").read_text()
RESULTS = Path(__file__).parents[1] / "results"


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")  # the README says so
def test_python_examples_run_and_give_the_numbers_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    *first, serve = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    for block in first:
        exec(block, names)
    net, family = names["net"], names["family"]
    assert wider.count_weights(net) == family.num_weights == 3970
    assert isinstance(net[0], wider.native.SparseLinear)
    assert wider.connectivity(net) == pytest.approx(
        {"0": 3170 / 62720, "2": 1.0, "": 0.0625}, rel=1e-12
    )
    assert wider.count_weights(family.dense(width=80)) == 63_520
    assert net(torch.zeros(1, 784)).shape == (1, 10)
    assert len(names["study"].table) == 514
    assert len(names["study"].verdicts) == 9
    assert "vega" in (tmp_path / "figure-4-cut.html").read_text()
    exec(serve, names)
    served = names["net"]
    assert isinstance(served.hidden[0], wider.native.SparseLinear)
    image = torch.ones(1, 784)
    torch.testing.assert_close(names["plain"](image), served(image))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\(((?:\w+/)?[\w-]+\.\w+)\)", README))))
def test_linked_files_exist(path: str):
    assert (Path(__file__).parents[1] / path).exists()


def test_the_study_is_the_one_that_is_committed():
    shown, own = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    examples = Path(__file__).parents[1] / "examples"
    path = examples / "study.toml"
    assert shown == path.read_text()
    assert f"trains {len(read_study(path).specs)} nets" in README
    committed = tomllib.loads((examples / "own" / "text.toml").read_text())
    assert tomllib.loads(own) == {name: committed[name] for name in committed if name != "title"}


def test_commands_are_those_of_the_command_line():
    from wider.cli import COMMANDS

    shown = set(re.findall(r"^wider (\w+)", README, re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)


def test_the_verdicts_are_those_of_the_committed_runs():
    runs = runs_in_results(Path(__file__).parents[1] / "results")
    found = verdicts(runs, EXPERIMENTS)
    outcomes = Counter(verdict.outcome for verdict in found)
    waiting = outcomes.pop("not yet run")
    text = " ".join(README.split())
    assert f"Of {waiting + outcomes.total()} claims, {outcomes.total()} have been run" in text
    for outcome, count in outcomes.items():
        assert f"{count} {outcome}" in text
    words = [each for each in found if each.outcome in ("supported", "contradicted")]
    stand = sum(each.holds_corrected for each in words)
    assert f"{stand} of the {len(words)} stand when they are corrected" in text


def test_the_campaign_is_the_committed_one():
    counts = pd.read_csv(RESULTS / "reliability.csv")
    assert not counts["failed"].any()
    assert not counts["kind"].str.contains("campaign itself").any()
    # What follows a fault undisturbed is a try, too.
    at_peace = counts["kind"].isin(["goes on to the same end", "nothing is left to do"])
    tries = counts[~at_peace].groupby("part")["tried"].sum()
    text = " ".join(README.split())
    for sentence in (
        f"{tries['kills']} kills of one process and {tries['workers']} with workers",
        f"of {tries['mutations']:,} damaged stores, {tries['full']} full disks, ",
        f"{tries['fuzz']:,} made-up studies and command lines, {tries['datasets']} datasets, ",
        f"{tries['together']} times four commands at once and {tries['hostile']} hostile stores",
    ):
        assert sentence in text
    assert tries["kills"] + tries["workers"] >= 1000
    assert tries["workers"] >= 200


def test_the_hit_table_is_the_committed_one():
    runs = read_table(Path(__file__).parents[1] / "results" / "advice-laptop.csv")
    hits = advice.summarise(runs)
    text = " ".join(README.split())
    for rule, words in (
        ("expected_kernel_distance", "In {} of {} families it is within one doubling"),
        ("theorem_1", "Theorem 1 as printed in {}"),
    ):
        near = (hits[f"{rule}_doublings"].abs() <= 1).sum()
        assert words.format(near, len(hits)) in text
        assert f"{100 * hits[f'{rule}_cost'].mean():.1f} points" in text


def accuracies(name: str, table: str, by: list[str], column: str) -> dict:
    runs = read_table(Path(__file__).parents[1] / "results" / f"{table}.csv")
    means = EXPERIMENTS[name].summarise(runs).set_index(by)[[column, f"{column}_interval"]]
    return {net: (100 * row.iloc[0], 100 * row.iloc[1]) for net, row in means.iterrows()}


def test_the_resnet_numbers_are_those_of_the_committed_runs():
    text = " ".join(README.split())
    best = "best_test_accuracy"
    families = accuracies("figure-5", "figure-5-gpu", ["dataset", "base_width", "width"], best)
    for net, words in (
        (("cifar10", 8, 8), "{:.1f}% dense at width 8"),
        (("cifar10", 8, 32), "{:.1f} ± {:.1f}% at width 32"),
        (("cifar10", 8, 64), "At width 64 the smaller budget is at {:.1f}%"),
        (("cifar10", 18, 18), "{:.1f}% dense at width 18"),
        (("cifar10", 18, 36), "{:.1f} ± {:.1f}% at width 36"),
        (("cifar100", 8, 8), "Re-encoded CIFAR-100: {:.1f}% dense"),
        (("cifar100", 8, 32), "{:.1f} ± {:.1f}% at width 32"),
        (("cifar100", 18, 18), "with 897,462 weights {:.1f}% dense"),
        (("cifar100", 18, 72), "{:.1f} ± {:.1f}% at width 72"),
    ):
        assert words.format(*families[net]) in text, net
    dense = accuracies("figure-1", "figure-1-gpu", ["dataset", "method", "width"], best)
    assert f"has {dense['cifar10', 'dense', 36][0]:.1f}%" in text
    parts = EXPERIMENTS["figure-6"].summarise(read_table(RESULTS / "figure-6-gpu.csv"))
    of_net = (parts["dataset"] == "cifar100") & (parts["base_width"] == 18) & (parts["width"] == 72)
    (part,) = parts[of_net].to_dict("records")
    assert (
        f"and {dense['cifar100', 'dense', 72][0]:.1f}% for the dense net of that width, so that "
        f"{part['fraction']:.0%} of its gain is due to width alone "
        f"([{100 * part['low']:.0f} to {100 * part['high']:.0f}]"
    ) in text
    by = ["dataset", "method", "base_width", "width"]
    nets = accuracies("figure-3", "figure-3-gpu", by, best)
    for dataset, words in (
        ("cifar10", "at best {:.1f} ± {:.1f}%"),
        ("cifar100", "{:.1f} ± {:.1f}%"),
    ):
        linear = [nets[dataset, "linear_bottleneck", 8, width] for width in (8, 16, 32)]
        assert words.format(*max(linear)) in text


def test_the_patterns_are_those_of_the_committed_runs():
    text = " ".join(README.split())
    by = ["dataset", "pattern", "width"]
    nets = accuracies("figure-9", "figure-9-gpu", by, "best_test_accuracy")
    largest = {
        dataset: max(
            abs(nets[dataset, "uniform", width][0] - nets[dataset, "io", width][0])
            for width in (16, 32, 64)
        )
        for dataset in ("cifar10", "cifar100")
    }
    assert f"differ by at most {largest['cifar10']:.1f} points on re-encoded CIFAR-10" in text
    widest = [nets["cifar100", pattern, 64] for pattern in ("uniform", "io")]
    assert largest["cifar100"] == widest[0][0] - widest[1][0]
    words = " and ".join(f"{mean:.1f} ± {half:.1f}%" for mean, half in widest)
    assert f"by {largest['cifar100']:.1f} on re-encoded CIFAR-100 ({words} at width 64)" in text


def test_the_three_ways_are_those_of_the_committed_runs():
    text = " ".join(README.split())
    ways = accuracies("three-ways", "three-ways-laptop", ["method", "width"], "final_test_accuracy")
    baseline = ways["sparse", 16][0]

    def gain(method: str, width: int | None = None) -> float:
        widths = [width] if width else [32, 64, 128]
        return max(ways[method, each][0] for each in widths) - baseline

    assert (
        f"sparse nets gain {gain('sparse'):.1f} points on the dense baseline's {baseline:.1f}%; "
        f"linear bottlenecks gain {gain('linear_bottleneck'):.1f} at width 32 and lose "
        f"{-gain('linear_bottleneck', 128):.1f} at width 128; non-linear ones gain "
        f"{gain('nonlinear_bottleneck'):.1f}."
    ) in text


def test_batch_normalisation_is_that_of_the_committed_runs():
    nets = accuracies(
        "figure-4-checks",
        "figure-4-checks-paper",
        ["activation", "check", "width"],
        "best_test_accuracy",
    )
    mean, half = nets["relu", "batch norm", 80]
    words = f"ten seeds are at {mean:.1f} ± {half:.1f}%"
    assert words in " ".join(README.split())


def test_the_allocations_are_those_of_the_committed_runs():
    text = " ".join(README.split())
    nets = accuracies(
        "allocations", "allocations-laptop", ["allocation", "width"], "final_test_accuracy"
    )
    for allocation in ("level", "erdos_renyi", "proportional"):
        mean, half = max(nets[allocation, width] for width in (32, 64, 128, 256))
        assert f'{mean:.1f} ± {half:.1f}% with `"{allocation}"`' in text


def test_the_rules_of_the_advice_are_the_committed_ones():
    root = Path(__file__).parents[1]
    hits = advice.summarise(read_table(root / "results" / "advice-laptop.csv"))
    rows = [
        line for line in (root / "docs" / "advice.md").read_text().splitlines() if " of 12" in line
    ]
    assert len(rows) == len(advice.RULES)
    for rule, words in (
        ("expected_kernel_distance", "the advice"),
        ("root", "width sqrt(n0 d)"),
        ("equation_6", "width 2 sqrt(n0 d)"),
        ("theorem_1", "Theorem 1 as printed"),
        ("eightfold", "always 8 times"),
        ("connectivity_05", "always the connectivity"),
    ):
        (row,) = [line for line in rows if line.startswith(f"| {words}")]
        near = (hits[f"{rule}_doublings"].abs() <= 1).sum()
        assert f"| {near} of 12" in row
        assert f"{100 * hits[f'{rule}_cost'].mean():.1f} points" in row
    # What the README says in bold.
    costs = [100 * hits[f"{rule}_cost"].mean() for rule in ("expected_kernel_distance", "root")]
    assert costs[1] <= costs[0] < 100 * hits["eightfold_cost"].mean() / 4
