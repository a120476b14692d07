"""Every suite at a size that takes a moment."""

from torch import nn

from wider.bench import convolution, first_step, inference, layer_costs, linear, mlp, resnet
from wider.bench.convolution import Stack
from wider.sparsity import sparsify

SMALL = {"base_width": 1, "batch_size": 16, "side": 8}
STACK = Stack(4, 8)


def in_this_process(function, tasks, *, jobs):
    """Instead of `workers.in_workers`: a process of its own takes seconds to start."""
    return map(function, tasks)


def small_net() -> nn.Module:
    """Of ten classes."""
    return sparsify(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 10)), num_weights=90)


TINY = (
    mlp.step_suite(widths=(5, 16), num_images=200),
    mlp.batch_suite(batch_sizes=(100,), num_images=200),
    linear.suite(sizes=((24, 8), (8, 16)), connectivities=(0.1, 0.5), batch_size=16),
    convolution.suite(stacks=(STACK,), connectivities=(0.1, 0.5), batch_size=16),
    resnet.step_suite(widths=(2,), **SMALL),
    inference.suite(sizes=(24, 16, 4), connectivities=(0.1, 0.5), calls=3),
    resnet.memory_suite(widths=(2,), **SMALL),
    layer_costs.suite(
        linear=((24, 8, 16),), convolutions=((3, 4, 3, 2, 8, 16),), connectivities=(0.3, 1.0)
    ),
    first_step.suite({"small": (small_net, (16, 8), 3), "the same": (small_net, (16, 8), 3)}),
)
