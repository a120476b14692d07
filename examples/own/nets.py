"""Nets of one's own, for the studies beside this file: functions of the width."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def small_cnn(width: int, in_channels: int, num_classes: int, *, depth: int = 2) -> nn.Module:
    """Convolutions that halve the image, each with twice the channels of the one before."""
    channels = [in_channels, *(width * 2**level for level in range(depth))]
    layers: list[nn.Module] = []
    for fan_in, out in pairwise(channels):
        layers += [nn.Conv2d(fan_in, out, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], num_classes)
    )


def regressor(width: int, in_features: int, num_outputs: int) -> nn.Module:
    """Two hidden layers, for numbers in a table."""
    return nn.Sequential(
        nn.Linear(in_features, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, num_outputs),
    )


class NextByte(nn.Module):
    """A small causal convolution over embedded tokens: what comes after each of them."""

    def __init__(self, width: int, vocab_size: int, *, reach: int = 8) -> None:
        super().__init__()
        self.reach = reach
        self.embedding = nn.Embedding(vocab_size, width)
        self.mix = nn.Conv1d(width, width, reach)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores (batch, context, vocab_size) of tokens (batch, context)."""
        embedded = self.embedding(tokens).transpose(1, 2)
        past = functional.pad(embedded, (self.reach - 1, 0))  # no token sees the next one
        return self.head(torch.relu(self.mix(past)).transpose(1, 2))
