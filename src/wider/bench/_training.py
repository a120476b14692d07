"""A training step through autograd and PyTorch's optimiser, shared by time and memory."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from wider.randomness import stream

NUM_CLASSES = 10


class TrainingStep:
    """Forward, cross entropy, backward, and SGD with momentum 0.9 and weight decay 5e-4.

    Attributes:
        net: that is trained.
        optimiser: its own.

    Args:
        net: in training mode.
        images: the one batch, again and again; its labels are random.
    """

    def __init__(self, net: nn.Module, images: Float[Tensor, "batch ..."]) -> None:
        self.net = net
        self.images = images
        self.labels: Int64[Tensor, " batch"] = torch.randint(
            NUM_CLASSES, (len(images),), generator=stream(0, "benchmark labels")
        )
        self.optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def __call__(self) -> float:
        """Takes the step; the loss before it."""
        self.optimiser.zero_grad()
        loss = functional.cross_entropy(self.net(self.images), self.labels)
        loss.backward()
        self.optimiser.step()
        return loss.item()
