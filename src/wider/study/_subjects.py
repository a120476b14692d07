"""What claims are about: the headings under which readers find them."""

WIDTH = "Width at equal weights"
OPTIMUM = "Where the best width lies"
WEIGHTS = "Width or weights"
SPREAD = "How the weights are spread"
BOTTLENECKS = "Bottlenecks"
KERNELS = "The kernel's distance"

SUBJECTS = (WIDTH, OPTIMUM, WEIGHTS, SPREAD, BOTTLENECKS, KERNELS)
