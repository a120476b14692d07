"""The page: one HTML file that needs nothing else."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from wider.errors import InputError
from wider.experiments import EXPERIMENTS, Experiment
from wider.report._format import cells, heading, with_intervals
from wider.report._own_sections import own_sections
from wider.report._sections import Section, sections_of

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
    "epochs_trained": "epochs",
    "final_test_accuracy": "last epoch",
    "best_test_accuracy": "best epoch",
    "status": "status",
    "seconds": "seconds",
}
ORIGIN_COLUMNS = ["commit", "wider", "torch", "python", "engine", "device", "threads", "machine"]


def write_page(
    runs: pd.DataFrame,
    output: Path,
    *,
    experiments: Iterable[Experiment] = tuple(EXPERIMENTS.values()),
) -> list[Section]:
    """Writes runs and what they show as one HTML file, with no reference to anything else.

    Args:
        runs: one row each, from `runs_in_store` or `runs_in_results`.
        output: the file to write.
        experiments: those that get a section where there are runs of theirs, or where they need
            none. Families with runs that belong to no experiment at all get one, too.

    Returns:
        The sections of the page.

    Raises:
        InputError: the file cannot be written.
    """
    sections = [*sections_of(runs, experiments), *own_sections(runs)]
    page = (
        _environment()
        .get_template("page.html")
        .render(
            sections=sections,
            summaries={section.anchor: _summary(section) for section in sections},
            specs=_chart_specs(sections),
            runs=_runs(runs),
            origins=_origins(runs),
            lossy=_lossy(runs),
            made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            # The bundle is code of ours to run, not text to show: it must not be escaped.
            script=Markup(vl_convert.javascript_bundle()),  # pyright: ignore[reportCallIssue]
        )
    )
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {str(output)!r} ({error.strerror}): choose another file with --output"
        ) from error
    return sections


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("wider.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _chart_specs(sections: Sequence[Section]) -> dict[str, dict]:
    return {
        f"{section.anchor}-{picture.name}": json.loads(picture.chart.to_json())
        for section in sections
        for picture in section.pictures
    }


def _summary(section: Section) -> dict[str, list]:
    table = with_intervals(section.summary)
    return {"columns": [heading(name) for name in table.columns], "rows": cells(table)}


def _runs(runs: pd.DataFrame) -> dict[str, list]:
    order = ["dataset", "model", "activation", "method", "allocation", "width", "seed"]
    table = runs.sort_values(order)[list(RUN_COLUMNS)]
    return {"columns": list(RUN_COLUMNS.values()), "rows": cells(table)}


def _origins(runs: pd.DataFrame) -> dict[str, list]:
    table = runs.fillna({"commit": "none"})
    counts = table.groupby(ORIGIN_COLUMNS, dropna=False).size().rename("runs").reset_index()
    return {"columns": list(counts.columns), "rows": cells(counts)}


def _lossy(runs: pd.DataFrame) -> list[str]:
    return sorted(set(runs.loc[runs["data_encoding"].isin(["jpeg", "mixed"]), "dataset"]))
