"""What the README shows is what happens."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch

import wider
from wider.experiments import EXPERIMENTS, advice, read_table, verdicts
from wider.report import runs_in_results
from wider.runs import read_study

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")  # the README says so
def test_python_examples_run_and_give_the_numbers_they_show():
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
    net, family = names["net"], names["family"]
    assert wider.count_weights(net) == family.num_weights == 3970
    assert isinstance(net[0], wider.native.SparseLinear)
    assert wider.connectivity(net) == pytest.approx(
        {"0": 3170 / 62720, "2": 1.0, "": 0.0625}, rel=1e-12
    )
    assert wider.count_weights(family.dense(width=80)) == 63_520
    assert net(torch.zeros(1, 784)).shape == (1, 10)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\(((?:\w+/)?[\w-]+\.\w+)\)", README))))
def test_linked_files_exist(path: str):
    assert (Path(__file__).parents[1] / path).exists()


def test_the_study_is_the_one_that_is_committed():
    (shown,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    path = Path(__file__).parents[1] / "examples" / "study.toml"
    assert shown == path.read_text()
    assert f"trains {len(read_study(path).specs)} nets" in README


def test_commands_are_those_of_the_command_line():
    from wider.cli._commands import COMMANDS

    shown = set(re.findall(r"^wider (\w+)", README, re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)


def test_the_verdicts_are_those_of_the_committed_runs():
    runs = runs_in_results(Path(__file__).parents[1] / "results")
    outcomes = Counter(verdict.outcome for verdict in verdicts(runs, EXPERIMENTS))
    waiting = outcomes.pop("not yet run")
    text = " ".join(README.split())
    assert f"Of {waiting + outcomes.total()} claims, {outcomes.total()} have been run" in text
    for outcome, count in outcomes.items():
        assert f"{count} {outcome}" in text


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
