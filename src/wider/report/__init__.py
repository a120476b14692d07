"""One offline page out of a store, or of tables that were kept."""

from wider.extras import need

need("study")

from wider.report._answer import GAINS, answer
from wider.report._committed import CommittedStudy, open_study
from wider.report._interactive import interactive_spec, javascript, shows_something
from wider.report._page import limits, write_page
from wider.report._pictures import (
    check_picture_file,
    write_chart,
    write_picture_files,
    write_pictures,
)
from wider.report._sections import Section, own_sections, section_of, sections_of
from wider.report._sources import merged, runs_in_results, runs_in_store
from wider.report._tables import beside_paper, cells, costs, heading, with_intervals
from wider.report._verdicts import verdict_rows

__all__ = [
    "GAINS",
    "CommittedStudy",
    "Section",
    "answer",
    "beside_paper",
    "cells",
    "check_picture_file",
    "costs",
    "heading",
    "interactive_spec",
    "javascript",
    "limits",
    "merged",
    "open_study",
    "own_sections",
    "runs_in_results",
    "runs_in_store",
    "section_of",
    "sections_of",
    "shows_something",
    "verdict_rows",
    "with_intervals",
    "write_chart",
    "write_page",
    "write_picture_files",
    "write_pictures",
]
