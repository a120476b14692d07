"""Tables that come with scikit-learn."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from wider.data._registered import DATASETS
from wider.data._table import Rows, TableData, table_data
from wider.randomness import stream


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
    return _split("breast-cancer", loaded, targets, classes, target="diagnosis", num_train=400)


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
    return _split("diabetes", loaded, targets, None, target="progression", num_train=310)


def _split(
    name: str,
    loaded: Any,
    targets: Tensor,
    classes: list[str] | None,
    *,
    target: str,
    num_train: int,
) -> TableData:
    inputs = torch.from_numpy(loaded.data.astype(np.float64))
    order = torch.randperm(len(inputs), generator=stream(0, f"{name} split"))
    train, test = (
        Rows(inputs[rows], targets[rows])
        for rows in (order[:num_train].sort().values, order[num_train:].sort().values)
    )
    columns = [str(column) for column in loaded.feature_names]
    return table_data(name, columns=columns, target=target, classes=classes, train=train, test=test)
