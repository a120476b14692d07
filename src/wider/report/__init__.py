"""One offline page out of a store, or of tables that were kept."""

from wider.report._format import cells, heading, with_intervals
from wider.report._page import write_page
from wider.report._pictures import write_pictures
from wider.report._sections import Section, section_of, sections_of
from wider.report._sources import runs_in_results, runs_in_store

__all__ = [
    "Section",
    "cells",
    "heading",
    "runs_in_results",
    "runs_in_store",
    "section_of",
    "sections_of",
    "with_intervals",
    "write_page",
    "write_pictures",
]
