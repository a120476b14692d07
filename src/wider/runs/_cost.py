"""What a run costs, before it is run."""

import math
from functools import singledispatch

from wider.models import MLPSpec, ModelSpec, ResNet18Spec
from wider.runs._arithmetic import (
    family_weights,
    multiply_adds_per_example,
    stored_multiply_adds_per_example,
)
from wider.runs._spec import Method, RunSpec, Widening
from wider.tasks import Task
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

# PyTorch, for any net: seconds a multiply-add of the forward pass, zeros included.
TORCH_MULTIPLY_ADD = TORCH_STORED_WEIGHT / 100


def estimated_seconds(spec: RunSpec, task: Task, *, num_train: int) -> float:
    """About how long a run takes on one core.

    Args:
        spec: the run.
        task: what its net takes and gives.
        num_train: training examples in the whole dataset; of a text, tokens.

    Returns:
        Seconds, good to a factor of two or so on a machine of these years.
    """
    return _seconds(spec.model, spec, task, _examples_used(spec, task, num_train))


def estimated_gpu_seconds(spec: RunSpec, task: Task, *, num_train: int) -> float:
    """About how long a run takes on one large GPU; arguments as for `estimated_seconds`.

    Fitted on small images; what it says of others is extrapolated.
    """
    used = _examples_used(spec, task, num_train)
    arithmetic = stored_multiply_adds_per_example(_quickly_counted(spec), task)
    work = PASSES * _examples(spec, used) * arithmetic
    return _steps(spec, used) * GPU_STEP + work / GPU_MULTIPLY_ADDS_PER_SECOND


@singledispatch
def _seconds(model: ModelSpec, spec: RunSpec, task: Task, used: int) -> float:  # noqa: ARG001
    """In PyTorch; models whose native code was timed are registered below."""
    arithmetic = stored_multiply_adds_per_example(spec, task)
    return _steps(spec, used) * TORCH_STEP + TORCH_MULTIPLY_ADD * arithmetic * _examples(spec, used)


@_seconds.register
def _(model: ResNet18Spec, spec: RunSpec, task: Task, used: int) -> float:  # noqa: ARG001
    arithmetic = multiply_adds_per_example(_quickly_counted(spec), task)
    per_image = RESNET_MULTIPLY_ADD * arithmetic + RESNET_WIDTH * spec.widening.width
    return _examples(spec, used) * per_image


@_seconds.register
def _(model: MLPSpec, spec: RunSpec, task: Task, used: int) -> float:
    width, method = spec.widening.width, spec.widening.method
    # An MLP uses each of its weights once, so its arithmetic is their number.
    budget = family_weights(spec, task)
    dense = stored_multiply_adds_per_example(_as(spec, "dense"), task)
    stored = dense if method in ("dense", "sparse") else budget
    weights = dense if method == "dense" else budget
    if spec.widening.exclude:
        weights = multiply_adds_per_example(spec, task)
    if method != "linear_bottleneck" and pays_natively(weights, weights / stored):
        units = width * model.num_hidden_layers
        per_image = NATIVE_PIXEL * task.numbers_in + NATIVE_WEIGHT * weights + NATIVE_UNIT * units
        return _steps(spec, used) * NATIVE_STEP + _examples_in_full(spec, used) * per_image
    share_of_100_images = spec.recipe.batch_size / 100
    a_step = TORCH_STEP + TORCH_STORED_WEIGHT * stored * share_of_100_images
    return _steps(spec, used) * a_step


def _as(spec: RunSpec, method: Method) -> RunSpec:
    widening = spec.widening
    return spec.model_copy(
        update={
            "widening": Widening(
                method=method,
                base_width=widening.base_width,
                width=widening.width,
                exclude=widening.exclude,
            )
        }
    )


def _quickly_counted(spec: RunSpec) -> RunSpec:
    """A spec of about the same arithmetic: to find how narrow the layers of a non-linear bottleneck
    are takes seconds over all widths, and it has about the arithmetic of its baseline.
    """
    if spec.widening.method != "nonlinear_bottleneck":
        return spec
    baseline = Widening(method="dense", base_width=spec.widening.base_width,
                        width=spec.widening.base_width)  # fmt: skip
    return spec.model_copy(update={"widening": baseline})


def _examples_used(spec: RunSpec, task: Task, num_train: int) -> int:
    used = spec.data.num_train or num_train - spec.data.num_validation
    return max(1, used // task.shape[0]) if task.input == "tokens" else used


def _steps(spec: RunSpec, used: int) -> int:
    recipe = spec.recipe
    return recipe.steps or recipe.epochs * math.ceil(used / recipe.batch_size)


def _examples(spec: RunSpec, used: int) -> int:
    recipe = spec.recipe
    return recipe.steps * recipe.batch_size if recipe.steps else recipe.epochs * used


def _examples_in_full(spec: RunSpec, used: int) -> int:
    """With a last batch of an epoch that takes as long as the others."""
    return _steps(spec, used) * spec.recipe.batch_size
