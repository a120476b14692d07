"""The paper's numbers beside ours."""

import pandas as pd

from wider.experiments import figure_4
from wider.experiments.figure_12 import paper_rows
from wider.report._sections import Section

OURS, THEIRS = "best_test_accuracy", "accuracy_in_paper"
COLUMNS = ["dataset", "activation", "method", "normalisation", "width"]
LAST = ["seeds", "output_connectivity"]


def beside_paper(section: Section) -> pd.DataFrame:
    """Best-epoch accuracies of nets of which the paper prints a number, one row each.

    Args:
        section: of any experiment.

    Returns:
        The net, the paper's accuracy, ours with its interval, how far ours is above, and the seeds.
        Of several of our nets that the paper's number may mean, the best one. Empty where the paper
        has no numbers, or we have no runs.
    """
    summary = section.summary
    if OURS not in summary:
        return pd.DataFrame()
    if THEIRS not in summary:
        paper = _printed(section.experiment.name)
        if paper.empty:
            return pd.DataFrame()
        best_first = summary.sort_values(OURS, ascending=False)
        on = [name for name in paper.columns if name != THEIRS]
        summary = best_first.drop_duplicates(on).merge(paper, on=on).sort_values(on)
    known = summary.dropna(subset=[OURS])
    shown = [name for name in COLUMNS if name in known]
    table = known[[*shown, THEIRS, OURS, f"{OURS}_deviation", f"{OURS}_interval"]].copy()
    table["ours_less_the_paper"] = [
        f"{100 * gap:+.2f} points" for gap in known[OURS] - known[THEIRS]
    ]
    return table.assign(**{name: known[name] for name in LAST if name in known})


def _printed(experiment: str) -> pd.DataFrame:
    """The paper's accuracies, with columns that a summary has too; empty where it has none."""
    if experiment == "figure-4":
        rows = [
            {"activation": activation, "width": width, THEIRS: value}
            for activation, values in figure_4.PAPER.items()
            for width, value in values.items()
        ]
        return pd.DataFrame(rows)
    if experiment in {"figure-1", "figure-12", "table-1"}:
        rows = paper_rows()[["method", "width", OURS]].rename(columns={OURS: THEIRS})
        return rows.assign(dataset="imagenet") if experiment == "figure-1" else rows
    return pd.DataFrame()
