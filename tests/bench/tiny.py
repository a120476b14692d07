"""Every suite at a size that takes a moment."""

from wider.bench import convolution, inference, linear, mlp, resnet
from wider.bench.convolution import Stack

SMALL = {"base_width": 1, "batch_size": 16, "side": 8}
STACK = Stack(4, 8)
TINY = (
    mlp.step_suite(widths=(5, 16), num_images=200),
    mlp.batch_suite(batch_sizes=(100,), num_images=200),
    linear.suite(sizes=((24, 8), (8, 16)), connectivities=(0.1, 0.5), batch_size=16),
    convolution.suite(stacks=(STACK,), connectivities=(0.1, 0.5), batch_size=16),
    resnet.step_suite(widths=(2,), **SMALL),
    inference.suite(sizes=(24, 16, 4), connectivities=(0.1, 0.5), calls=3),
    resnet.memory_suite(widths=(2,), **SMALL),
)
