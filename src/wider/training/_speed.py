"""What makes a step fast on its device; the numbers stay the same but for rounding."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wider.training._scored import Precision, Scored, Sums

# With CUDA graphs, since small images leave a GPU waiting for the next kernel.
COMPILATION: dict[str, Any] = {"mode": "reduce-overhead"}


class SlowEngineWarning(UserWarning):
    """Training is slower than it could be; the message says why and by how much."""


@dataclass(frozen=True)
class Speed:
    """How a net's steps are computed. Weights, gradients and momentum are float32 in any case.

    Attributes:
        precision: of the products. With "bfloat16", forward and backward pass run under PyTorch's
            autocast. With "float32" PyTorch's own settings hold, which on newer GPUs let
            convolutions round to TF32.
        channels_last: whether images and the weights of convolutions have their channels last in
            memory, as a GPU's tensor cores want them.
        compiled: whether the passes over a full batch go through `torch.compile`.
        fused: whether the optimiser changes all parameters in one kernel.
    """

    precision: Precision = "float32"
    channels_last: bool = False
    compiled: bool = False
    fused: bool = False

    @classmethod
    def of(cls, net: nn.Module, device: torch.device, precision: Precision) -> "Speed":
        """What is fastest for a net on a device."""
        on_gpu = device.type == "cuda"
        # A small MLP trains in less time than it takes to compile.
        has_images = on_gpu and any(isinstance(layer, nn.Conv2d) for layer in net.modules())
        compiled = has_images and can_compile(device)
        return cls(precision, channels_last=has_images, compiled=compiled, fused=on_gpu)

    @property
    def words(self) -> list[str]:
        """What is out of the ordinary, for the provenance of a result."""
        rounds = self.precision == "float32" and self.channels_last
        words = {
            self.precision: self.precision != "float32",
            "TF32 convolutions": rounds and torch.backends.cudnn.allow_tf32,
            "channels last": self.channels_last,
            "compiled": self.compiled,
        }
        return [word for word, holds in words.items() if holds]


class Compiled(NamedTuple):
    """A net in code made for the shape of a full batch.

    Attributes:
        scored: the same without that code, for other batches; its net is the one to train.
        fast: for full batches.
    """

    scored: Scored
    fast: Callable[..., Sums]


# The last one that this process made, by the shape of its net. To compile takes as long as some
# twenty epochs of a narrow net, and seeds differ in numbers alone.
_held: dict[str, Compiled] = {}


def compiled(scored: Scored, *, shape: str | None = None) -> Compiled:
    """Compiles a net, or copies it into the last one compiled where that has the same shape.

    Args:
        scored: the net.
        shape: names all that is the same in nets which may stand for one another; None for a net
            that stands for itself alone.
    """
    if shape is not None and shape in _held:
        _held[shape].scored.load_state_dict(scored.state_dict())
        return _held[shape]
    # PyTorch compiles one method for at most eight nets, and keeps the graphs' memory till then.
    torch.compiler.reset()
    _held.clear()
    fast = torch.compile(scored, fullgraph=True, dynamic=False, **COMPILATION)

    def score_next(inputs: Tensor, targets: Tensor) -> Sums:
        torch.compiler.cudagraph_mark_step_begin()
        loss, *others = fast(inputs, targets)
        # The next call writes its results where these are.
        return loss.clone(), *(each.clone() for each in others)

    made = Compiled(scored, score_next)
    if shape is not None:
        _held[shape] = made
    return made


@cache
def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` works here: it needs Triton and a C compiler.

    Warns:
        SlowEngineWarning: it does not.
    """
    try:
        torch.compile(torch.square)(torch.ones(2, device=device))
    except Exception as error:
        warnings.warn(
            f"torch.compile does not work here, so training takes about twice as long: "
            f"{type(error).__name__}: {str(error).splitlines()[0]}. It needs Triton and a C "
            "compiler (gcc).",
            SlowEngineWarning,
            stacklevel=2,
        )
        return False
    return True
