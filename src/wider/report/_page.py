"""The page: one HTML file that needs nothing else, and what a reader should know of its limits."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from wider.errors import InputError
from wider.files import read_whole, target_of, write_output
from wider.report._answer import Answer, answer
from wider.report._interactive import INKS, interactive_spec, javascript
from wider.report._sections import Section, own_sections, sections_of
from wider.report._tables import beside_paper, cells, costs, heading, with_intervals
from wider.report._verdicts import by_subject, counts, verdict_rows
from wider.study import EXPERIMENTS, Experiment
from wider.text import shown

# Shown of every run; the rest is in `wider results --format csv`.
RUN_COLUMNS = {
    "dataset": "dataset",
    "model": "model",
    "activation": "activation",
    "method": "method",
    "width": "width",
    "allocation": "allocation",
    "seed": "seed",
    "num_weights": "weights",
    "connectivity": "connectivity",
    "multiply_adds": "multiply-adds",
    "epochs_trained": "epochs",
    "final_test_accuracy": "last epoch",
    "best_test_accuracy": "best epoch",
    "status": "status",
    "seconds": "seconds",
    "key": "key",
}
TITLE = "Are wider nets better given the same number of weights?"  # by which a page is known
HEAD_BYTES = 4096  # of a page, in which its title stands
KEY_LENGTH = 10  # characters that find a run's folder in a store
ANSWER = "answer"  # names the chart of the first screen
ORIGIN_COLUMNS = ["commit", "wider", "torch", "python", "engine", "device", "threads", "machine"]

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


def write_page(
    runs: pd.DataFrame,
    output: Path,
    *,
    experiments: Iterable[Experiment] | None = None,
) -> list[Section]:
    """Writes runs and what they show as one HTML file, with no reference to anything else.

    Args:
        runs: one row each, from `runs_in_store` or `runs_in_results`.
        output: the file to write.
        experiments: those that get a section where there are runs of theirs, or where they need
            none; all by default. Families with runs that belong to no experiment get one, too.

    Returns:
        The sections of the page.

    Raises:
        InputError: the file cannot be written, or is there and no page of ours.
    """
    _check_free(output)
    experiments = list(EXPERIMENTS.values() if experiments is None else experiments)
    # In a copy, columns of one type lie beside each other, and rows are taken faster.
    runs = runs.copy()
    sections = [*sections_of(runs, experiments), *own_sections(runs)]
    anchors = [section.anchor for section in sections]
    claims = verdict_rows(runs, experiments, anchors)
    first = answer(sections, claims)
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=TITLE,
            answer=first,
            groups=_by_experiment(sections),
            claims=claims,
            subjects=by_subject(claims),
            counts=counts(claims),
            tables={section.anchor: _tables(section) for section in sections},
            specs=_chart_specs(sections, first),
            inks=INKS,
            runs=_runs(runs),
            origins=_origins(runs),
            limits=limits(runs, sections),
            made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            # The bundle is code of ours to run, not text to show: it must not be escaped.
            script=Markup(javascript()),
        )
    )
    try:
        write_output(output, page.encode())
    except OSError as error:
        raise _unwritable(output, str(error.strerror)) from error
    return sections


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
        shortened=[section for section in trained if section.scale_name != FULL],
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


def _check_free(output: Path) -> None:
    """Does nothing where a page can be written: over none, or over one of ours."""
    try:
        target_of(output)
    except OSError as error:
        raise _unwritable(output, str(error.strerror)) from error
    if not output.is_file():
        return
    try:
        head = read_whole(output.resolve())[:HEAD_BYTES]
    except OSError as error:
        raise _unwritable(output, str(error.strerror)) from error
    if f"<title>{TITLE}</title>".encode() not in head:
        raise _unwritable(output, "it is no page of wider's")


def _unwritable(output: Path, reason: str) -> InputError:
    return InputError(f"cannot write {str(output)!r} ({reason}): choose another file with --output")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wider.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What is no `str` by itself is code of ours, or was escaped.
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    # Jinja's own `capitalize` makes the other letters small.
    environment.filters["count"] = "{:,}".format
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _by_experiment(sections: Sequence[Section]) -> list[list[Section]]:
    """The sections of each experiment, the largest scale first."""
    groups = itertools.groupby(sections, key=lambda section: section.name)
    return [list(group) for _, group in groups]


def _chart_specs(sections: Sequence[Section], first: Answer) -> dict[str, dict]:
    pictures = {
        f"{section.anchor}-{picture.name}": picture
        for section in sections
        for picture in section.pictures
    }
    if first.picture is not None:
        pictures[ANSWER] = first.picture
    return {name: interactive_spec(picture.chart) for name, picture in pictures.items()}


def _tables(section: Section) -> dict[str, dict[str, list]]:
    """What the page shows of a section as numbers, by what it is."""
    found = {
        "numbers": with_intervals(section.summary),
        "paper": with_intervals(beside_paper(section)),
        "costs": costs(section),
    }
    return {name: _table(table) for name, table in found.items()}


def _table(table: pd.DataFrame) -> dict[str, list]:
    return {"columns": [heading(name) for name in table.columns], "rows": cells(table)}


def _runs(runs: pd.DataFrame) -> dict[str, list]:
    order = ["dataset", "model", "activation", "method", "allocation", "width", "seed"]
    table = runs.assign(key=runs["key"].str[:KEY_LENGTH], **_outcomes(runs)).sort_values(order)
    return {"columns": list(RUN_COLUMNS.values()), "rows": cells(table[list(RUN_COLUMNS)])}


def _outcomes(runs: pd.DataFrame) -> dict[str, list]:
    """Accuracies, and in their place that of another metric where runs have one."""
    found = {}
    for when in ("final", "best"):
        pairs = zip(runs[f"{when}_test_accuracy"], runs[f"{when}_test_metric"], strict=True)
        found[f"{when}_test_accuracy"] = [
            accuracy if pd.isna(metric) else f"{metric:.4g} {words.replace('-', ' ')}"
            for (accuracy, metric), words in zip(pairs, runs["metric"].map(str), strict=True)
        ]
    return found


def _origins(runs: pd.DataFrame) -> dict[str, list]:
    table = runs.fillna({"commit": "none"})
    counts = table.groupby(ORIGIN_COLUMNS, dropna=False).size().rename("runs").reset_index()
    return _table(counts[["runs", *ORIGIN_COLUMNS]])
