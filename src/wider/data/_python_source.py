"""The source of Python's own standard library, as text."""

import platform
import sysconfig
from pathlib import Path

import torch

from wider.data._read_text import text_data
from wider.data._registered import DATASETS
from wider.data._text import TextData
from wider.randomness import stream

NAME = "python-source"

# Written in Python alone, and one file each in all versions of Python 3 that are supported.
MODULES = (
    "base64", "bdb", "bisect", "calendar", "cmd", "code", "codecs", "colorsys", "compileall",
    "configparser", "contextlib", "copy", "csv", "dataclasses", "dis", "enum", "filecmp",
    "fileinput", "fnmatch", "fractions", "ftplib", "functools", "getopt", "gettext", "gzip",
    "hashlib", "heapq", "hmac", "imaplib", "lzma", "mimetypes", "netrc", "numbers", "operator",
    "pickle", "pkgutil", "platform", "plistlib", "poplib", "pprint", "profile", "pstats",
    "pyclbr", "queue", "quopri", "random", "reprlib", "rlcompleter", "runpy", "sched",
    "selectors", "shelve", "shlex", "shutil", "smtplib", "socket", "socketserver", "statistics",
    "stringprep", "symtable", "tabnanny", "tempfile", "textwrap", "threading", "timeit",
    "token", "tokenize", "trace", "traceback", "tracemalloc", "types", "uuid", "warnings",
    "wave", "weakref", "webbrowser", "zipapp", "zipimport",
)  # fmt: skip

ONE_IN = 10  # of the modules is for validation, and as many for the test


@DATASETS.register(NAME)
def python_source() -> TextData:
    """The bytes of modules of the standard library of the Python that runs.

    A fixed draw of modules makes the test, another one the validation split. Every version of
    Python has a source of its own, and so a digest of its own.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    order = torch.randperm(len(MODULES), generator=stream(0, f"{NAME} split")).tolist()
    size = len(MODULES) // ONE_IN
    places = {
        "test": order[:size],
        "validation": order[size : 2 * size],
        "train": order[2 * size :],
    }
    files = {module: folder / f"{module}.py" for module in MODULES}
    there = {module for module, file in files.items() if file.is_file()}
    texts = {
        split: "".join(
            files[module].read_text("utf-8")
            for module in (MODULES[place] for place in sorted(chosen))
            if module in there
        )
        for split, chosen in places.items()
    }
    version = f"its text is that of Python {platform.python_version()}, and other versions differ"
    absent = ", ".join(module for module in MODULES if module not in there)
    notes = (version, f"this Python lacks the modules {absent}") if absent else (version,)
    return text_data(NAME, texts, notes=notes)
