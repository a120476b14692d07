"""How much arithmetic a net does for one image."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from wider.errors import InputError
from wider.native import SparseLayer, SparseLinear
from wider.sparsity._layers import WeightLayer
from wider.sparsity._matrices import mask_of


def multiply_adds(module: nn.Module, image_shape: Sequence[int]) -> dict[str, int]:
    """The multiplications of a weight with a number in one forward pass of one image.

    Weights that are masked or not stored count nothing; taps of a convolution that fall on padding
    count like others. Equal numbers of weights are not equal arithmetic: a convolution uses each
    weight once per output position.

    Args:
        module: any module, which is left as it was.
        image_shape: of one image, such as (3, 32, 32).

    Returns:
        {layer name: multiply-adds}, with the whole net's under "". Linear, (transposed)
        convolutional and native layers are counted.

    Raises:
        InputError: the net does not take images of that shape.
    """
    image = torch.zeros(1, *image_shape)
    counts: dict[str, int] = {}

    def count(name: str, layer: nn.Module, inputs: Tensor, output: Tensor) -> None:
        counts[name] = counts.get(name, 0) + _kept(layer) * _uses(layer, inputs, output)

    try:
        watch(module, image, count)
    except RuntimeError as error:
        raise InputError(
            f"the net does not take an image of shape {tuple(image_shape)}: {error}"
        ) from error
    return counts | {"": sum(counts.values())}


def watch(
    module: nn.Module, images: Tensor, seen: Callable[[str, nn.Module, Tensor, Tensor], None]
) -> None:
    """Shows what goes in and out of each layer with weights; leaves the module as it was.

    Args:
        module: any module.
        images: a batch that it takes.
        seen: called with name, layer, input and output, as often as the layer is.
    """
    handles = []
    for name, layer in module.named_modules():
        if isinstance(layer, WeightLayer | SparseLayer):

            def hook(layer: nn.Module, inputs: tuple, output: Tensor, name: str = name) -> None:
                seen(name, layer, inputs[0], output)

            handles.append(layer.register_forward_hook(hook))
    like = next(module.parameters(), torch.empty(0))
    try:
        with _in_eval_mode(module), torch.no_grad():
            module(images.to(like.device, like.dtype))
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    """In which no running statistics move."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _kept(layer: nn.Module) -> int:
    if isinstance(layer, SparseLayer):
        return layer.num_weights
    assert isinstance(layer, WeightLayer)
    mask = mask_of(layer)
    return layer.weight.numel() if mask is None else int(torch.count_nonzero(mask))


def _uses(layer: nn.Module, inputs: Tensor, output: Tensor) -> int:
    """How often each weight is used for all of a batch."""
    if isinstance(layer, nn.Linear | SparseLinear):
        return output.numel() // output.shape[-1]
    positions = inputs if isinstance(layer, _ConvTransposeNd) else output
    return len(positions) * positions.shape[2:].numel()
