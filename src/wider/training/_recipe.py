"""How a net is trained, as data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wider.data import Augmentation

DECAY = 0.1  # of the learning rate at each milestone


class Recipe(BaseModel):
    """Plain stochastic gradient descent on the cross-entropy; no early stopping.

    Source:
        Golubeva et al. 2021, Appendix A. The defaults are those of Figure 4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: Annotated[int, Field(ge=1)] = 300
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=1)] = 100
    """Images a step; the last batch of an epoch may be smaller."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Step size."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty, on weights and biases alike."""
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Epochs after which the learning rate falls to a tenth."""
    augmentation: Augmentation = "none"
    """What is done to a training image each time that it is used. crop: moved by up to 4 pixels;
    crop-flip: also turned around, every second time."""

    def learning_rate_in(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        return self.learning_rate * DECAY ** sum(passed < epoch for passed in self.milestones)
