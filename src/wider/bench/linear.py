"""One linear layer forward and backward, along its connectivity."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wider.bench._peers import (
    both_passes,
    csr,
    dense_linear,
    random_images,
    random_weight,
    sparseprop_peers,
)
from wider.bench._suite import CSR, DENSE, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.native import SparseLinear

SIZES = ((784, 4096), (1024, 1024))  # inputs, outputs
CONNECTIVITIES = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
STEPS = 3  # a call of a millisecond would be measured less exactly


class CSRLinear(nn.Module):
    """PyTorch's own sparse layer: `torch.sparse.addmm`, whose gradient is as sparse as the weight.

    Images are stored image by image, as everywhere in PyTorch, and transposed without a copy.

    Args:
        weight: the dense weight; its zeros are removed.
        bias: one per output.
    """

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(csr(weight))
        self.bias = nn.Parameter(bias.clone())

    def forward(self, images: Float[Tensor, "batch in"]) -> Float[Tensor, "batch out"]:
        """The layer's outputs."""
        return torch.sparse.addmm(self.bias[:, None], self.weight, images.t()).t()


def suite(
    sizes: Sequence[tuple[int, int]] = SIZES,
    connectivities: Sequence[float] = CONNECTIVITIES,
    batch_size: int = 128,
) -> TimeSuite:
    """One linear layer, along its connectivity.

    Args:
        sizes: inputs and outputs of each layer.
        connectivities: measured of each.
        batch_size: images.
    """
    return TimeSuite(
        name="linear",
        title="A linear layer forward and backward, by connectivity",
        details=f"Batch {batch_size}, gradients of the input too",
        unit="step",
        along="connectivity",
        panel="layer",
        cases=[
            _case(size, connectivity, batch_size)
            for size in sizes
            for connectivity in connectivities
        ],
        rivals=(DENSE,),
        note="dense PyTorch multiplies the zeros",
        has_break_even=True,
    )


def _case(size: tuple[int, int], connectivity: float, batch_size: int) -> Case:
    return Case(
        columns={"layer": f"{size[0]} to {size[1]}", "connectivity": connectivity},
        peers=lambda: _peers(size, connectivity, batch_size),
        units=STEPS,
    )


def _peers(size: tuple[int, int], connectivity: float, batch_size: int) -> list[Peer]:
    in_features, out_features = size
    weight, mask = random_weight((out_features, in_features), connectivity, "linear")
    bias = torch.zeros(out_features)
    dense = dense_linear(weight, bias)
    modules = {
        NATIVE: SparseLinear(weight, mask, bias),
        DENSE: dense,
        CSR: CSRLinear(weight, bias),
    }
    images = random_images(batch_size, in_features)
    slope = random_images(batch_size, out_features)
    peers = [
        Peer(name, both_passes(module, images, slope, STEPS)) for name, module in modules.items()
    ]
    return peers + sparseprop_peers(dense, images, slope, STEPS)


LINEAR = suite()
