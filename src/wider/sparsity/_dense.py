"""A sparse net as the plain one of the same outputs."""

import copy
from typing import TypeVar

from torch import nn

from wider.errors import InputError
from wider.sparsity._convert import to_masked
from wider.sparsity._masked import has_another_parametrisation, masked_parameters, remove_masks
from wider.sparsity._matrices import EXCLUDED

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def to_dense(module: AnyModule) -> AnyModule:
    """A copy of a net without masks or native layers: zeros are stored where weights were removed.

    For tools that know plain modules only (quantisation, ONNX, `save_pretrained`). Parameters have
    their ordinary names, in their ordinary order. Trained further, it fills its zeros.

    Args:
        module: any net, which is left as it is.

    Returns:
        A net of the same outputs that shares no tensor with it.

    Raises:
        InputError: a layer has a mask and another parametrisation.
    """
    for name, part in module.named_modules():
        if has_another_parametrisation(part):
            raise InputError(
                f"layer {name!r} has a mask and another parametrisation: remove the other one first"
            )
    plain = to_masked(copy.deepcopy(module))
    for part in list(plain.modules()):
        if masked_parameters(part):
            remove_masks(part)
        part.__dict__.pop(EXCLUDED, None)
    return plain
