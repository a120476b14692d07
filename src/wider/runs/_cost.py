"""What a run costs, before it is run."""

import math

from wider.runs._spec import RunSpec

# Least squares through the widths 5, 80 and 640 of the MLP 784-width-10 at batch 100, one thread
# of a 2.6 GHz Xeon (2026), masked execution: seconds a step, and seconds per stored weight.
STEP_SECONDS = 4.3e-4
STEP_SECONDS_PER_STORED_WEIGHT = 6.2e-9


def estimated_seconds(
    spec: RunSpec, *, num_images: int, num_features: int, num_classes: int
) -> float:
    """About how long a run takes on one core, with the masked PyTorch engine.

    Args:
        spec: the run.
        num_images: training images in the whole dataset.
        num_features: values in one image.
        num_classes: outputs of the net.

    Returns:
        Seconds, good to a factor of two or so on a machine of these years.
    """
    used = spec.data.num_train or num_images - spec.data.num_validation
    steps = spec.recipe.epochs * math.ceil(used / spec.recipe.batch_size)
    width, layers = spec.widening.width, spec.model.num_hidden_layers
    stored = width * (num_features + num_classes) + (layers - 1) * width**2
    share_of_batch = spec.recipe.batch_size / 100
    return steps * (STEP_SECONDS + STEP_SECONDS_PER_STORED_WEIGHT * stored * share_of_batch)
