"""The runs of Figure 7, their learning rates, and what equation (6) says of them."""

import math
from collections.abc import Sequence

import pandas as pd

from wider.data import Preprocessing
from wider.models import MLPSpec
from wider.runs import Method, RunSpec, Widening
from wider.theory import approximate_kernel_distance
from wider.training import Recipe

BASE_WIDTH, NUM_FEATURES, NUM_CLASSES = 8, 784, 10
NUM_WEIGHTS = BASE_WIDTH * (NUM_FEATURES + NUM_CLASSES)
WIDTHS = (8, 32, 128, 216, 328, 512, 635)
METHODS: tuple[Method, ...] = ("sparse", "dense")
NUM_TRAIN, NUM_VALIDATION, BATCH_SIZE, EPOCHS = 2048, 2048, 256, 300

# The best of `figure-7-rates` at scale paper, whose table is results/figure-7-rates-paper.csv.
RATES: dict[Method, dict[int, float]] = {
    "sparse": {8: 1.25, 32: 136, 128: 260, 216: 722, 328: 491, 512: 1472, 635: 218.75},
    "dense": {32: 80, 128: 173, 216: 114, 328: 76.5, 512: 222.5, 635: 230},
}


def run_of(
    method: Method,
    width: int,
    *,
    learning_rate: float,
    seed: int,
    epochs: int = EPOCHS,
    num_train: int = NUM_TRAIN,
    num_validation: int = 0,
    kernel_pairs: int = 0,
) -> RunSpec:
    """One run: an MLP in NTK parametrisation, of which only the first layer is sparse.

    Args:
        method: "sparse" or "dense".
        width: of the hidden layer; at the base width the net is dense.
        learning_rate: of the run.
        seed: of the run.
        epochs: of the run.
        num_train: training images.
        num_validation: images by which learning rates are chosen.
        kernel_pairs: pairs of test images over which kernels are compared.

    Source:
        Golubeva et al. 2021, Appendix A, Figure 7.
    """
    # The first member of the family, written as the sparse one: it is trained once.
    dense = method == "dense" and width > BASE_WIDTH
    return RunSpec(
        data=Preprocessing(
            dataset="mnist",
            normalisation="pixel",
            # Of 2,048 images, some pixels are lit in one or two only: their deviation is so small
            # that a few test images would decide every mean.
            scaled_by="all",
            num_train=num_train,
            num_validation=num_validation,
        ),
        model=MLPSpec(parametrization="ntk", bias=False),
        widening=Widening(
            method="dense" if dense else "sparse",
            base_width=BASE_WIDTH,
            width=width,
            allocation="level" if dense else {"output": 1.0},
        ),
        recipe=Recipe(epochs=epochs, batch_size=BATCH_SIZE, learning_rate=learning_rate),
        seed=seed,
        kernel_pairs=kernel_pairs,
    )


def nets(widths: Sequence[int]) -> list[tuple[Method, int]]:
    """Both lines, the baseline once."""
    return [
        (method, width)
        for method in METHODS
        for width in widths
        if (method, width) != ("dense", BASE_WIDTH)
    ]


def with_equation_6(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the paper's closed form of the kernel distance, in the column "equation_6".

    Args:
        table: of nets with one hidden layer, with the columns "num_features", "width" and
            "hidden_connectivity"; where one is empty, so is the new one.
    """
    sizes = table[["num_features", "width", "hidden_connectivity"]].astype(float)
    values = [
        math.nan
        if math.isnan(connectivity)
        else approximate_kernel_distance(int(dim), width=int(width), connectivity=connectivity)
        for dim, width, connectivity in sizes.itertuples(index=False)
    ]
    return table.assign(equation_6=values)
