"""Training the paper's MLP of 3,970 weights: along the width, and along the batch size."""

from collections.abc import Sequence
from typing import cast

import torch

from wider.bench._suite import DENSE, MASKED, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.data import PreparedData
from wider.families import Family
from wider.models import MLP
from wider.randomness import stream
from wider.training import NativeTrainer, Recipe, Trainer

BASE_WIDTH, SIDE, NUM_CLASSES = 5, 28, 10
NUM_FEATURES = SIDE * SIDE
NUM_IMAGES = 6400  # a multiple of every batch size here, so that all steps are alike
WIDTHS = (5, 20, 80, 320, 640, 1280)
BATCH_SIZES = (16, 100, 256)
FAMILY = Family(MLP, base_width=BASE_WIDTH, in_features=NUM_FEATURES, num_classes=NUM_CLASSES)
NOTE = "dense PyTorch has no mask, so more weights"
LEARNING_RATE = 0.01  # small enough that no net diverges on random labels


def step_suite(widths: Sequence[int] = WIDTHS, num_images: int = NUM_IMAGES) -> TimeSuite:
    """A training step of nets of the same number of weights, along their width."""
    return TimeSuite(
        name="mlp-step",
        title="A training step at 3,970 weights, by width",
        details=f"MLP 784-width-10, plain SGD, batch 100, {num_images:,} random images",
        unit="step",
        along="width",
        cases=[_case(width, 100, num_images) for width in widths],
        rivals=(MASKED,),
        note=NOTE,
    )


def batch_suite(
    batch_sizes: Sequence[int] = BATCH_SIZES, num_images: int = NUM_IMAGES
) -> TimeSuite:
    """A training step of one net, along the batch size."""
    return TimeSuite(
        name="mlp-batch",
        title="A training step at 3,970 weights, by batch size",
        details=f"MLP 784-80-10, plain SGD, {num_images:,} random images",
        unit="step",
        along="batch_size",
        cases=[_case(80, batch_size, num_images) for batch_size in batch_sizes],
        rivals=(MASKED,),
        note=NOTE,
    )


def _case(width: int, batch_size: int, num_images: int) -> Case:
    stored = width * (NUM_FEATURES + NUM_CLASSES)
    return Case(
        columns={
            "width": width,
            "batch_size": batch_size,
            "connectivity": FAMILY.num_weights / stored,
        },
        units=-(-num_images // batch_size),
        peers=lambda: _peers(width, batch_size, num_images),
    )


def _peers(width: int, batch_size: int, num_images: int) -> list[Peer]:
    data = _random_images(num_images)
    recipe = Recipe(batch_size=batch_size, learning_rate=LEARNING_RATE)
    sparse = [cast(MLP, FAMILY.sparse(width)) for _ in range(2)]
    native = NativeTrainer(sparse[0], data, recipe, seed=0)
    masked = Trainer(sparse[1], data, recipe, seed=0)
    dense = Trainer(FAMILY.dense(width), data, recipe, seed=0)
    return [
        Peer(NATIVE, native.run_epoch, max_threads=1),  # an MLP's step is too short for more
        Peer(MASKED, masked.run_epoch),
        Peer(DENSE, dense.run_epoch),
    ]


def _random_images(count: int) -> PreparedData:
    """Training images of MNIST's shape; none to test on, so that an epoch is training alone."""
    generator = stream(0, "benchmark")
    no_images, no_labels = torch.empty(0, 1, SIDE, SIDE), torch.empty(0, dtype=torch.int64)
    return PreparedData(
        train_images=torch.randn(count, 1, SIDE, SIDE, generator=generator),
        train_labels=torch.randint(NUM_CLASSES, (count,), generator=generator),
        test_images=no_images,
        test_labels=no_labels,
        validation_images=no_images,
        validation_labels=no_labels,
        num_classes=NUM_CLASSES,
    )


STEP, BATCH = step_suite(), batch_suite()
