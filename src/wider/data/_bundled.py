"""Datasets that come with Python and scikit-learn, and need no files: digits, tables, text."""

import platform
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wider.data._names import DATASETS
from wider.data._table import Rows, TableData, table_data
from wider.data._text import TextData, text_data
from wider.data.images import ImageData, Images, image_data
from wider.randomness import stream

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


@DATASETS.register("digits")
def digits() -> ImageData:
    """Scikit-learn's 1,797 handwritten digits, grey and of 8x8 pixels.

    They come without a split, so a fixed draw makes 1,297 of them training and 500 test images.

    Returns:
        The digits, their 17 grey levels spread over 0 to 255.

    Source:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    # Importing scikit-learn takes most of a second, and only these datasets need it.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    levels, targets = load_digits(return_X_y=True)
    pixels = np.rint(levels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(targets.astype(np.int64))
    train, test = (
        Images(images[rows], labels[rows])
        for rows in _drawn(len(images), num_train=1297, name="digits")
    )
    return image_data("digits", classes="0123456789", train=train, test=test)


@DATASETS.register("python-source")
def python_source() -> TextData:
    """The bytes of modules of the standard library of the Python that runs.

    A fixed draw of modules makes the test, another one the validation split. Every version of
    Python has a source of its own, and so a digest of its own.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    order = torch.randperm(len(MODULES), generator=stream(0, "python-source split")).tolist()
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
    return text_data("python-source", texts, notes=notes)


@DATASETS.register("breast-cancer")
def breast_cancer() -> TableData:
    """Of 569 tumours 30 measurements, and whether they are malignant.

    They come without a split, so a fixed draw makes 400 of them training rows.

    Source:
        Street, Wolberg and Mangasarian, Nuclear feature extraction for breast tumor diagnosis,
        1993.
    """
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    loaded: Any = load_breast_cancer()
    targets = torch.from_numpy(loaded.target.astype(np.int64))
    classes = [str(name) for name in loaded.target_names]
    return _table("breast-cancer", loaded, targets, classes, target="diagnosis", num_train=400)


@DATASETS.register("diabetes")
def diabetes() -> TableData:
    """Of 442 patients ten measurements, and how far their diabetes was a year later.

    They come without a split, so a fixed draw makes 310 of them training rows.

    Source:
        Efron, Hastie, Johnstone and Tibshirani, Least angle regression, 2004.
    """
    from sklearn.datasets import load_diabetes  # noqa: PLC0415

    loaded: Any = load_diabetes(scaled=False)
    targets = torch.from_numpy(loaded.target.astype(np.float64))[:, None]
    return _table("diabetes", loaded, targets, None, target="progression", num_train=310)


def _table(
    name: str,
    loaded: Any,
    targets: Tensor,
    classes: list[str] | None,
    *,
    target: str,
    num_train: int,
) -> TableData:
    inputs = torch.from_numpy(loaded.data.astype(np.float64))
    train, test = (
        Rows(inputs[rows], targets[rows])
        for rows in _drawn(len(inputs), num_train=num_train, name=name)
    )
    columns = [str(column) for column in loaded.feature_names]
    return table_data(name, columns=columns, target=target, classes=classes, train=train, test=test)


def _drawn(count: int, *, num_train: int, name: str) -> tuple[Tensor, Tensor]:
    """Which examples are for training and which for the test, each in their own order."""
    order = torch.randperm(count, generator=stream(0, f"{name} split"))
    return order[:num_train].sort().values, order[num_train:].sort().values
