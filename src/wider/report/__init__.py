"""One offline page out of a store."""

from wider.report._format import cells, heading, with_intervals
from wider.report._page import write_page
from wider.report._pictures import write_pictures
from wider.report._sections import Section, section_of, sections_of

__all__ = [
    "Section",
    "cells",
    "heading",
    "section_of",
    "sections_of",
    "with_intervals",
    "write_page",
    "write_pictures",
]
