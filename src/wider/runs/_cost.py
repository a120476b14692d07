"""What a run costs, before it is run."""

import math

from wider.runs._arithmetic import multiply_adds_per_image, stored_multiply_adds_per_image
from wider.runs._spec import RunSpec, Widening
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

# Fitted to ResNet-18 on CIFAR-10 at widths 8, 64 and 144 on one H200, bfloat16, zeros multiplied,
# one run alone (1.2, 1.35 and 3.2 s an epoch). A step is a forward and a backward pass, three times
# the arithmetic of the forward one, and narrow nets wait for the launch of their kernels.
GPU_MULTIPLY_ADDS_PER_SECOND, GPU_STEP = 2e14, 3e-3
PASSES = 3


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
    used = _images_used(spec, num_images)
    if spec.model.name == "resnet18":
        arithmetic = multiply_adds_per_image(
            _quickly_counted(spec), image_shape=image_shape, num_classes=num_classes
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
    if spec.widening.exclude:  # an MLP uses each of its weights once
        sizes = {"image_shape": image_shape, "num_classes": num_classes}
        weights = multiply_adds_per_image(spec, **sizes)
    if method != "linear_bottleneck" and pays_natively(weights, weights / stored):
        units = width * spec.model.num_hidden_layers
        per_image = NATIVE_PIXEL * num_features + NATIVE_WEIGHT * weights + NATIVE_UNIT * units
        return steps * (NATIVE_STEP + spec.recipe.batch_size * per_image)
    share_of_100_images = spec.recipe.batch_size / 100
    return steps * (TORCH_STEP + TORCH_STORED_WEIGHT * stored * share_of_100_images)


def estimated_gpu_seconds(
    spec: RunSpec, *, num_images: int, image_shape: tuple[int, int, int], num_classes: int
) -> float:
    """About how long a run takes on one large GPU; arguments as for `estimated_seconds`.

    Fitted on small images; what it says of others is extrapolated.
    """
    used = _images_used(spec, num_images)
    steps = spec.recipe.epochs * math.ceil(used / spec.recipe.batch_size)
    arithmetic = stored_multiply_adds_per_image(
        _quickly_counted(spec), image_shape=image_shape, num_classes=num_classes
    )
    images = spec.recipe.epochs * used
    return steps * GPU_STEP + PASSES * images * arithmetic / GPU_MULTIPLY_ADDS_PER_SECOND


def _quickly_counted(spec: RunSpec) -> RunSpec:
    """A spec of about the same arithmetic: to find how narrow the layers of a non-linear bottleneck
    are takes seconds over all widths, and it has about the arithmetic of its baseline.
    """
    if spec.widening.method != "nonlinear_bottleneck":
        return spec
    baseline = Widening(method="dense", base_width=spec.widening.base_width,
                        width=spec.widening.base_width)  # fmt: skip
    return spec.model_copy(update={"widening": baseline})


def _images_used(spec: RunSpec, num_images: int) -> int:
    return spec.data.num_train or num_images - spec.data.num_validation


def _dense_weights(spec: RunSpec, width: int, num_features: int, num_classes: int) -> int:
    return width * (num_features + num_classes) + (spec.model.num_hidden_layers - 1) * width**2
