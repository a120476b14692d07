"""One image through an MLP, along its connectivity."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wider.bench._peers import csr, dense_linear, random_images, random_weight
from wider.bench._suite import CSR, DENSE, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.native import SparseLinear

SIZES = (784, 4096, 10)
CONNECTIVITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.6)
CALLS = 200  # one takes some ten microseconds


class CSRProduct(nn.Module):
    """A linear layer for one image through `torch.mv`, PyTorch's fastest way with a CSR matrix.

    Args:
        weight: the dense weight; its zeros are removed.
        bias: one per output.
    """

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"]) -> None:
        super().__init__()
        self.weight, self.bias = csr(weight), bias

    def forward(self, images: Float[Tensor, "1 in"]) -> Float[Tensor, "1 out"]:
        """The layer's outputs."""
        return (torch.mv(self.weight, images[0]) + self.bias)[None]


def suite(
    sizes: Sequence[int] = SIZES,
    connectivities: Sequence[float] = CONNECTIVITIES,
    calls: int = CALLS,
) -> TimeSuite:
    """One image through an MLP with ReLU, along its connectivity.

    Args:
        sizes: inputs, hidden units of each layer, outputs.
        connectivities: measured; the same in all layers.
        calls: images, one after the other, in a timed call.
    """
    name = "-".join(map(str, sizes))
    return TimeSuite(
        name="inference",
        title="Inference of one image, by connectivity",
        details=f"MLP {name}, ReLU, every layer of that connectivity, torch.inference_mode",
        unit="image",
        along="connectivity",
        cases=[_case(sizes, connectivity, calls) for connectivity in connectivities],
        rivals=(DENSE,),
        has_break_even=True,
    )


def _case(sizes: Sequence[int], connectivity: float, calls: int) -> Case:
    return Case(
        columns={"connectivity": connectivity},
        peers=lambda: _peers(sizes, connectivity, calls),
        units=calls,
    )


def _peers(sizes: Sequence[int], connectivity: float, calls: int) -> list[Peer]:
    nets: dict[str, list[nn.Module]] = {NATIVE: [], DENSE: [], CSR: []}
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        weight, mask = random_weight((outputs, inputs), connectivity, f"inference {number}")
        bias = torch.zeros(outputs)
        layers = {
            NATIVE: SparseLinear(weight, mask, bias),
            DENSE: dense_linear(weight, bias),
            CSR: CSRProduct(weight, bias),
        }
        for name, layer in layers.items():
            nets[name] += [nn.ReLU(), layer] if number else [layer]
    image = random_images(1, sizes[0])
    return [Peer(name, _inference(nn.Sequential(*net), image, calls)) for name, net in nets.items()]


def _inference(net: nn.Module, image: Tensor, calls: int) -> Callable[[], Tensor]:
    net.eval()

    def run() -> Tensor:
        with torch.inference_mode():
            for _ in range(calls - 1):
                net(image)
            return net(image)

    return run


INFERENCE = suite()
