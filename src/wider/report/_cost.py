"""What each net of a section costs."""

import pandas as pd

from wider.report._sections import Section

# What tells nets apart, as far as they cost something else.
NETS = ["dataset", "model", "activation", "method", "base_width", "exclude", "pattern", "width"]
SIZES = {
    "num_weights": "weights",
    "num_effective_weights": "effective weights",
    "multiply_adds": "multiply-adds an example",
    "epochs_trained": "epochs",
}


def costs(section: Section) -> pd.DataFrame:
    """Weights, arithmetic and time, one row per net.

    Args:
        section: with runs; without any, there are no costs.

    Returns:
        What differs between the nets, their sizes, the mean seconds of a run, the engines, and how
        many runs that is over. Where runs of a net differ in size, the range.
    """
    table = section.table
    if table.empty:
        return pd.DataFrame()
    by = [name for name in NETS if table[name].nunique(dropna=False) > 1 or name == "width"]
    nets = table.groupby(by, dropna=False)
    lowest, highest = nets[list(SIZES)].min(), nets[list(SIZES)].max()
    shown = pd.DataFrame(
        {words: list(map(_range, lowest[name], highest[name])) for name, words in SIZES.items()},
        index=lowest.index,
    )
    seconds = nets["seconds"].agg(lambda each: f"{each.mean():,.1f}")
    shown.insert(len(SIZES) - 1, "seconds a run", seconds)
    return shown.assign(engine=nets["engine"].agg(_names), runs=nets.size()).reset_index()


def _range(lowest: float, highest: float) -> str:
    if pd.isna(lowest):
        return "-"
    return f"{lowest:,.0f}" if lowest == highest else f"{lowest:,.0f} to {highest:,.0f}"


def _names(engines: pd.Series) -> str:
    return ", ".join(sorted(engines.dropna().unique()))
