"""What a user might write; `wider.own_code` finds it once its folder is on the path."""

import torch
from torch import Tensor


class Counting(torch.optim.Optimizer):
    """Keeps a tensor and a number for each parameter, and two numbers for each group."""

    def __init__(self, params, lr=0.1, decay=0.5):
        super().__init__(params, {"lr": lr, "decay": decay, "k": 0, "trust": 1.0})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ARG002  # pyright: ignore
        for group in self.param_groups:
            group["k"] += 1
            group["trust"] = 0.9 * group["trust"] + 0.1 / group["k"]
            for parameter in group["params"]:
                own = self.state[parameter]
                own.setdefault("mean", torch.zeros_like(parameter))
                own["mean"].mul_(group["decay"]).add_(parameter.grad)
                own["longest"] = max(own.get("longest", 0.0), float(own["mean"].norm()))
                scale = group["lr"] * group["trust"] / (1 + own["longest"])
                parameter.sub_(own["mean"], alpha=scale)


class Listing(torch.optim.SGD):
    """Keeps what no checkpoint can hold."""

    def step(self, closure=None):  # noqa: ARG002  # pyright: ignore
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["all"] = [1, 2]


def first_only(groups, lr=0.1):
    return torch.optim.SGD(groups[0]["params"][:1], lr=lr)


def merged(groups, lr=0.1):
    return torch.optim.SGD([each for group in groups for each in group["params"]], lr=lr)


def no_optimiser(groups):
    return 3


def falling(step, num_steps, power=1):
    return (1 - step / num_steps) ** power


def not_a_number(step, num_steps):
    return float("nan")


def only_hidden(layer, factor=1.0):
    return factor if layer.kind == "hidden" else 0.0


def absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().sum(1)


def summed(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().sum()
