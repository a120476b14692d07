"""The paper's numbers beside ours."""

import pandas as pd

from wider.report._sections import Section
from wider.study import IN_PAPER

OURS = "best_test_accuracy"
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
    if IN_PAPER not in summary:
        paper = section.experiment.paper
        if paper.empty:
            return pd.DataFrame()
        best_first = summary.sort_values(OURS, ascending=False)
        on = [name for name in paper.columns if name != IN_PAPER]
        summary = best_first.drop_duplicates(on).merge(paper, on=on).sort_values(on)
    known = summary.dropna(subset=[OURS])
    shown = [name for name in COLUMNS if name in known]
    table = known[[*shown, IN_PAPER, OURS, f"{OURS}_deviation", f"{OURS}_interval"]].copy()
    table["ours_less_the_paper"] = [
        f"{100 * gap:+.2f} points" for gap in known[OURS] - known[IN_PAPER]
    ]
    return table.assign(**{name: known[name] for name in LAST if name in known})
