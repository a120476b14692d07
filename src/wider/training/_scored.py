"""A net with its loss."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from wider.fields import Precision
from wider.tasks import Task
from wider.training._metrics import ACCURACY, Metric, Outcome, num_recognised
from wider.training._objectives import Objective

Sums = tuple[Float[Tensor, ""], ...]
"""Over some examples: the loss; how many are recognised, NaN where nothing is; and the metric,
where it is another than that."""


class Scored(nn.Module):
    """A net with its loss, which is what is compiled.

    Args:
        net: its own names stay as they are.
        task: that it is for.
        objective: whose sums are given, and differentiated.
        metric: whose sums are given.
        precision: of the net's products.
    """

    def __init__(
        self, net: nn.Module, task: Task, objective: Objective, metric: Metric, precision: Precision
    ) -> None:
        super().__init__()
        self.net = net
        self._recognises = task.output in ("classes", "tokens")
        self._objective = objective
        self._metric = metric
        self._in_bfloat16 = precision == "bfloat16"

    def forward(
        self, inputs: Shaped[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Sums:
        """The sums over a batch."""
        if self._in_bfloat16:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                outputs = self.net(inputs)
            outputs = outputs.float()
        else:
            outputs = self.net(inputs)
        loss, without_gradient = self._objective.total(outputs, targets), outputs.detach()
        hits = torch.full_like(loss.detach(), torch.nan)
        if self._recognises:
            hits = num_recognised(without_gradient, targets)
        if self._metric.name == ACCURACY:
            return loss, hits
        if self._metric.same_as == self._objective.name:
            return loss, hits, loss.detach()
        return loss, hits, self._metric.total(Outcome(without_gradient, targets, loss.detach()))
