"""What each net of a section costs."""

import pandas as pd

from wider.report._sections import Section

# What tells nets apart, as far as they cost something else.
NETS = ["dataset", "model", "activation", "method", "base_width", "exclude", "pattern", "width"]
SIZES = {
    "num_weights": "weights",
    "num_effective_weights": "effective weights",
    "multiply_adds": "multiply-adds an image",
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
    rows = []
    for net, group in table.groupby(by, dropna=False):
        row: dict[str, object] = dict(zip(by, net, strict=True))
        row |= {words: _range(group[name]) for name, words in SIZES.items()}
        row |= {
            "seconds a run": f"{group['seconds'].mean():,.1f}",
            "epochs": _range(group["epochs_trained"]),
            "engine": ", ".join(sorted(group["engine"].dropna().unique())),
            "runs": len(group),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _range(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "-"
    lowest, highest = int(known.min()), int(known.max())
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"
