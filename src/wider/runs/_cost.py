"""What a run costs, before it is run."""

import math
import warnings
from functools import cache

import torch

from wider.runs._spec import ModelSpec, RunSpec, Widening
from wider.sparsity import BudgetWarning, allocate, multiply_adds, weight_layers
from wider.training import pays_natively

# Fitted to the MLP 784-width-10 at batch 100, widths 5, 80 and 640, one thread of a 2.6 GHz Xeon
# (2026). PyTorch, masked: seconds a step, and a step and stored weight at 100 images.
TORCH_STEP = 4.3e-4
TORCH_STORED_WEIGHT = 6.2e-9
# Native: seconds a step, and an image and pixel, non-zero weight, hidden unit.
NATIVE_STEP = 1e-5
NATIVE_PIXEL, NATIVE_WEIGHT, NATIVE_UNIT = 4.5e-10, 9e-11, 2.8e-10


# Fitted to ResNet-18 of 175,192 weights at widths 8 to 64, batch 128, native, one thread of the
# same machine: seconds an image and multiply-add, and an image and unit of width.
RESNET_MULTIPLY_ADD, RESNET_WIDTH = 8e-11, 3e-5


def estimated_seconds(
    spec: RunSpec, *, num_images: int, image_shape: tuple[int, int, int], num_classes: int
) -> float:
    """About how long a run takes on one core.

    Args:
        spec: the run.
        num_images: training images in the whole dataset.
        image_shape: channels, height, width of an image.
        num_classes: outputs of the net.

    Returns:
        Seconds, good to a factor of two or so on a machine of these years.
    """
    used = spec.data.num_train or num_images - spec.data.num_validation
    if spec.model.name == "resnet18":
        arithmetic = _multiply_adds(
            spec.model.model_dump_json(), spec.widening.model_dump_json(), image_shape
        )
        per_image = RESNET_MULTIPLY_ADD * arithmetic + RESNET_WIDTH * spec.widening.width
        return spec.recipe.epochs * used * per_image
    num_features = math.prod(image_shape)
    steps = spec.recipe.epochs * math.ceil(used / spec.recipe.batch_size)
    width, method = spec.widening.width, spec.widening.method
    budget = _dense_weights(spec, spec.widening.base_width, num_features, num_classes)
    dense = _dense_weights(spec, width, num_features, num_classes)
    stored = dense if method in ("dense", "sparse") else budget
    weights = dense if method == "dense" else budget
    if method != "linear_bottleneck" and pays_natively(weights, weights / stored):
        units = width * spec.model.num_hidden_layers
        per_image = NATIVE_PIXEL * num_features + NATIVE_WEIGHT * weights + NATIVE_UNIT * units
        return steps * (NATIVE_STEP + spec.recipe.batch_size * per_image)
    share_of_100_images = spec.recipe.batch_size / 100
    return steps * (TORCH_STEP + TORCH_STORED_WEIGHT * stored * share_of_100_images)


def _dense_weights(spec: RunSpec, width: int, num_features: int, num_classes: int) -> int:
    return width * (num_features + num_classes) + (spec.model.num_hidden_layers - 1) * width**2


@cache
def _multiply_adds(model: str, widening: str, image_shape: tuple[int, int, int]) -> float:
    """Of one image; the number of classes hardly matters."""
    spec = RunSpec(
        model=ModelSpec.model_validate_json(model),
        widening=Widening.model_validate_json(widening),
    )
    family, method = spec.family(image_shape=image_shape, num_classes=10), spec.widening.method
    # Shapes without numbers: wide nets have hundreds of megabytes.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        kind = "dense" if method == "sparse" else method
        net, num_weights = getattr(family, kind)(spec.widening.width), family.num_weights
    stored = multiply_adds(net, image_shape)
    if method != "sparse":
        return stored[""]
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    counts = allocate(shapes, num_weights, spec.widening.allocation)
    return sum(count * stored[name] / math.prod(shapes[name]) for name, count in counts.items())
