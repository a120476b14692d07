"""What a reader should know before trusting the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from wider.report._sections import Section

FULL = "paper"  # the scale that shortens nothing


@dataclass(frozen=True)
class Limits:
    """What is less than it could be.

    Attributes:
        lossy: datasets whose images were re-encoded.
        shortened: sections at a smaller scale than the paper's.
        incomplete: sections that lack runs.
        single_seeds: (section, its points of one seed, all of its points).
        diverged: runs that did.
    """

    lossy: list[str]
    shortened: list[Section]
    incomplete: list[Section]
    single_seeds: list[tuple[Section, int, int]]
    diverged: int


def limits(runs: pd.DataFrame, sections: Sequence[Section]) -> Limits:
    """The limits of a page.

    Args:
        runs: all of them, one row each.
        sections: of the page.
    """
    trained = [section for section in sections if section.num_runs]
    seeds = [(section, section.summary["seeds"]) for section in trained if _counts_seeds(section)]
    return Limits(
        lossy=sorted(set(runs.loc[runs["data_encoding"].isin(["jpeg", "mixed"]), "dataset"])),
        shortened=[section for section in trained if section.scale.name != FULL],
        incomplete=[section for section in trained if not section.is_complete],
        single_seeds=[
            (section, int((count == 1).sum()), len(count))
            for section, count in seeds
            if (count == 1).any()
        ],
        diverged=int((runs["status"] == "diverged").sum()),
    )


def _counts_seeds(section: Section) -> bool:
    return "seeds" in section.summary
