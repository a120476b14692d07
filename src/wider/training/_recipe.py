"""How a net is trained, as data."""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wider.data import Augmentation
from wider.fields import Count

DECAY = 0.1  # of the learning rate at each milestone


class Recipe(BaseModel):
    """Plain stochastic gradient descent on the cross-entropy; no early stopping.

    Source:
        Golubeva et al. 2021, Appendix A. The defaults are those of Figure 4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: Count = 300
    """Passes over the training images."""
    batch_size: Count = 100
    """Images a step; the last batch of an epoch may be smaller."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Step size."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty, on weights and biases alike."""
    schedule: Literal["steps", "cosine"] = "steps"
    """How the learning rate falls. steps: at the milestones; cosine: every epoch, along half a
    cosine, to nothing after the last one."""
    milestones: tuple[Count, ...] = ()
    """steps: epochs after which the learning rate falls to a tenth."""
    augmentation: Augmentation = "none"
    """What is done to a training image each time that it is used. crop: moved by up to 4 pixels;
    crop-flip: also turned around, every second time; resized-crop, for large images only: a part of
    at least a fifth of the image, brought to full size."""

    @property
    def rounds(self) -> int:
        """Rows of the history of a whole run."""
        return self.epochs

    @property
    def steps(self) -> int | None:
        """TODO"""
        return None

    objective = metric = property(lambda self: None)

    def learning_rate_in(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        if self.schedule == "cosine":
            passed = (epoch - 1) / self.epochs
            return self.learning_rate * (1 + math.cos(math.pi * passed)) / 2
        return self.learning_rate * DECAY ** sum(passed < epoch for passed in self.milestones)

    @model_validator(mode="after")
    def _milestones_belong_to_steps(self) -> Self:
        if self.schedule != "steps" and self.milestones:
            raise ValueError(
                f"milestones are {self.milestones}, but the {self.schedule} schedule has none: "
                'leave them out or use schedule "steps"'
            )
        return self
