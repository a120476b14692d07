"""A convolution that keeps all its weights, in the sparse kernels."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor, nn

from wider.native._conv_operators import sparse_conv2d
from wider.native._library import is_available
from wider.native._transforms import is_transformed


class NativeConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` in compiled code.

    Of few channels, as at the start of a net, or with a kernel of one place and a stride, PyTorch's
    own takes up to three times as long.
    """

    def forward(
        self,
        input: Float[Tensor, "batch in rows columns"],  # noqa: A002
    ) -> Float[Tensor, "batch out out_rows out_columns"]:
        """The outputs."""
        if not self._computes_natively(input):
            return super().forward(input)
        weight, stride, padding = self.weight, self.stride, self.padding
        # A compiler warns of caches, and keeps what it computes once by itself.
        places = _all_places if torch.compiler.is_compiling() else _remembered_places
        structure = places(len(weight), weight[0].numel())
        return sparse_conv2d(
            input, weight.reshape(-1, 1), *structure, self.bias, weight.shape[2:], stride, padding
        )

    def _computes_natively(self, images: Tensor) -> bool:
        plain = images.is_cpu and images.dtype == torch.float32 == self.weight.dtype
        # Of images in PyTorch's other memory format, its own are faster.
        fits = images.dim() == 4 and images.shape[1] == self.in_channels and images.is_contiguous()
        known = is_available() and not torch.is_autocast_enabled("cpu") and not is_transformed()
        return plain and fits and known


def _all_places(
    num_outputs: int, num_places: int
) -> tuple[Int32[Tensor, " weights"], Int64[Tensor, " out_plus_one"]]:
    """Columns and starts of a layer, see `SparseLayer`, that keeps all its weights."""
    columns = torch.arange(num_places, dtype=torch.int32, device="cpu").repeat(num_outputs)
    return columns, torch.arange(num_outputs + 1, device="cpu") * num_places


@lru_cache(maxsize=64)
def _remembered_places(num_outputs: int, num_places: int) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(mode=False):  # for training to use, too
        return _all_places(num_outputs, num_places)
