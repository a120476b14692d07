"""Nets of plain torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .net import Net, tokens

WIDTH, HEADS, VOCABULARY = 32, 4, 50


class LanguageModel(nn.Module):
    """An embedding, a body that may return its state, too, and a head."""

    def __init__(self, body: nn.Module, outputs: int = WIDTH, *, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.body = body
        self.head = nn.Linear(outputs, VOCABULARY)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        found = self.body(self.embedding(x))
        return self.head(found[0] if isinstance(found, tuple) else found)


class Translator(nn.Module):
    """An encoder and a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.body = nn.Transformer(WIDTH, HEADS, 2, 2, 2 * WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x: Tensor) -> Tensor:
        embedded = self.embedding(x)
        return self.head(self.body(embedded, embedded.flip(1)))


class CellByCell(nn.Module):
    """A recurrent layer that is a loop over a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        states = [x.new_zeros(len(x), WIDTH)]
        for step in x.unbind(1):
            states.append(self.cell(step, states[-1]))
        return torch.stack(states[1:], 1)


class CrossAttention(nn.Module):
    """Keys and values of other widths than the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, kdim=24, vdim=20, batch_first=True)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.head(self.attention(queries, keys, values)[0])


class Pairs(nn.Module):
    """Two inputs, bilinear."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(12, 16), nn.Linear(10, 8)
        self.together = nn.Bilinear(16, 8, 12)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.together(self.left(one).tanh(), self.right(other).tanh())


def autoencoder() -> nn.Module:
    """Grouped, dilated and transposed convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=2, dilation=2, groups=4),
        nn.GroupNorm(4, 32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 2, stride=2, groups=2),
        nn.ReLU(),
        nn.Conv2d(16, 3, 1),
    )


def sounds() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 16, 5, stride=2),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.ConvTranspose1d(16, 8, 4),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def volumes() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 8, 3), nn.ReLU(), nn.ConvTranspose3d(8, 4, 2), nn.Flatten(), nn.Linear(256, 10)
    )


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


def recurrent(kind: Callable[..., nn.Module], **keywords: Any) -> nn.Module:
    return kind(WIDTH, WIDTH, num_layers=2, batch_first=True, **keywords)


def projected() -> nn.Module:
    body = recurrent(nn.LSTM, proj_size=12, bidirectional=True)
    return LanguageModel(body, outputs=24)


def text(generator: torch.Generator) -> dict[str, Tensor]:
    return {"x": tokens(generator)}


def _drawn(**shapes: tuple[int, ...]) -> Callable[[torch.Generator], dict[str, Tensor]]:
    def inputs(generator: torch.Generator) -> dict[str, Tensor]:
        return {name: torch.randn(2, *shape, generator=generator) for name, shape in shapes.items()}

    return inputs


NETS = [
    Net("TransformerEncoder", "torch", lambda: LanguageModel(encoder()), text),
    Net("Transformer", "torch", Translator, text),
    Net("LSTM", "torch", lambda: LanguageModel(recurrent(nn.LSTM)), text),
    Net("LSTM, tied", "torch", lambda: LanguageModel(recurrent(nn.LSTM), tied=True), text),
    Net("LSTM, both ways, projected", "torch", projected, text),
    Net("GRU", "torch", lambda: LanguageModel(recurrent(nn.GRU)), text),
    Net("RNN", "torch", lambda: LanguageModel(recurrent(nn.RNN)), text),
    Net("GRUCell in a loop", "torch", lambda: LanguageModel(CellByCell()), text),
    Net(
        "MultiheadAttention, kdim and vdim",
        "torch",
        CrossAttention,
        _drawn(queries=(5, WIDTH), keys=(7, 24), values=(7, 20)),
    ),
    Net("Bilinear", "torch", Pairs, _drawn(one=(12,), other=(10,))),
    Net("autoencoder of Conv2d", "torch", autoencoder, _drawn(input=(3, 16, 16))),
    Net("Conv1d", "torch", sounds, _drawn(input=(2, 40))),
    Net("Conv3d", "torch", volumes, _drawn(input=(1, 5, 5, 5))),
]
