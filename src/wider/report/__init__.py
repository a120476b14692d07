"""One offline page out of a store, or of tables that were kept."""

from wider.extras import need

need("study")

from wider.report._format import cells, heading, with_intervals
from wider.report._page import write_page
from wider.report._pictures import (
    check_picture_file,
    write_chart,
    write_picture_files,
    write_pictures,
)
from wider.report._sections import Section, section_of, sections_of
from wider.report._sources import merged, runs_in_results, runs_in_store

__all__ = [
    "Section",
    "cells",
    "check_picture_file",
    "heading",
    "merged",
    "runs_in_results",
    "runs_in_store",
    "section_of",
    "sections_of",
    "with_intervals",
    "write_chart",
    "write_page",
    "write_picture_files",
    "write_pictures",
]
