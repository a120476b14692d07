"""How a net is trained, as data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


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
