"""Convolutions forward and backward, along their connectivity."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wider.bench._peers import both_passes, random_images, random_weight, sparseprop_peers
from wider.bench._suite import CHANNELS_LAST, DENSE, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.native import SparseConv2d

CONNECTIVITIES = (0.01, 0.03, 0.1, 0.3, 0.6)


@dataclass(frozen=True)
class Stack:
    """Like convolutions, each of which takes the outputs of the one before.

    Attributes:
        channels: of the input, and of every output unless the stride is 2.
        side: rows and columns of the input.
        kernel: rows and columns of the kernel; outputs are padded to keep the size.
        stride: 1, or 2 for one layer with twice as many output channels.
        num_layers: how many.
    """

    channels: int
    side: int
    kernel: int = 3
    stride: int = 1
    num_layers: int = 3

    @property
    def name(self) -> str:
        """Such as "3 of 3x3, 32 channels, 32x32"."""
        channels = f"{self.channels}"
        if self.out_channels != self.channels:
            channels += f" to {self.out_channels}"
        stride = "" if self.stride == 1 else f", stride {self.stride}"
        count = f"{self.num_layers} of " if self.num_layers > 1 else ""
        kernel, side = (f"{size}x{size}" for size in (self.kernel, self.side))
        return f"{count}{kernel}, {channels} channels, {side}{stride}"

    @property
    def out_channels(self) -> int:
        """Of every layer."""
        return self.channels * self.stride


# ResNet-18 of width 32, and a layer without neighbours.
STACKS = (
    Stack(32, 32),
    Stack(64, 16),
    Stack(128, 8),
    Stack(256, 4),
    Stack(32, 32, stride=2, num_layers=1),
    Stack(64, 16, kernel=1),
)


def suite(
    stacks: Sequence[Stack] = STACKS,
    connectivities: Sequence[float] = CONNECTIVITIES,
    batch_size: int = 128,
) -> TimeSuite:
    """Stacks of convolutions, along their connectivity.

    Args:
        stacks: the layers.
        connectivities: measured of each.
        batch_size: images.
    """
    return TimeSuite(
        name="convolution",
        title="Convolutions forward and backward, by connectivity",
        details=f"Batch {batch_size}, gradients of the input too",
        unit="step",
        along="connectivity",
        panel="layers",
        cases=[
            _case(stack, connectivity, batch_size)
            for stack in stacks
            for connectivity in connectivities
        ],
        rivals=(DENSE, CHANNELS_LAST),
        note="dense layers multiply the zeros",
        has_break_even=True,
    )


def _case(stack: Stack, connectivity: float, batch_size: int) -> Case:
    return Case(
        columns={"layers": stack.name, "connectivity": connectivity},
        peers=lambda: _peers(stack, connectivity, batch_size),
    )


def _peers(stack: Stack, connectivity: float, batch_size: int) -> list[Peer]:
    shape = (stack.out_channels, stack.channels, stack.kernel, stack.kernel)
    weights = [
        random_weight(shape, connectivity, f"convolution {number}")
        for number in range(stack.num_layers)
    ]
    native = nn.Sequential(*(_native(stack, weight, mask) for weight, mask in weights))
    dense = nn.Sequential(*(_dense(stack, weight) for weight, _ in weights))
    channels_last = nn.Sequential(*(_dense(stack, _moved(weight)) for weight, _ in weights))
    images = random_images(batch_size, stack.channels, stack.side, stack.side)
    out_side = -(-stack.side // stack.stride)
    slope = random_images(batch_size, stack.out_channels, out_side, out_side)
    return [
        Peer(NATIVE, both_passes(native, images, slope)),
        Peer(DENSE, both_passes(dense, images, slope)),
        Peer(CHANNELS_LAST, both_passes(channels_last, _moved(images), _moved(slope))),
        *sparseprop_peers(dense, images, slope, 1),
    ]


def _native(
    stack: Stack,
    weight: Float[Tensor, "out in rows columns"],
    mask: Bool[Tensor, "out in rows columns"],
) -> SparseConv2d:
    return SparseConv2d(
        weight, mask, None, stride=(stack.stride,) * 2, padding=(stack.kernel // 2,) * 2
    )


def _dense(stack: Stack, weight: Float[Tensor, "out in rows columns"]) -> nn.Conv2d:
    layer = nn.Conv2d(
        stack.channels,
        stack.out_channels,
        stack.kernel,
        stride=stack.stride,
        padding=stack.kernel // 2,
        bias=False,
    )
    layer.weight.data = weight.clone()
    return layer


def _moved(tensor: Float[Tensor, "a b c d"]) -> Float[Tensor, "a b c d"]:
    return tensor.to(memory_format=torch.channels_last)


CONVOLUTION = suite()
