"""The parts of data that are ready for training."""

from typing import Literal

Part = Literal["train", "test", "validation"]
