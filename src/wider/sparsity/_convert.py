"""From masked to native execution and back, and to a plain net."""

import copy
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from wider.errors import InputError
from wider.inputs import Inputs
from wider.native import (
    BatchNormReLU,
    NativeBatchNorm2d,
    NativeBatchNormReLU,
    NativeConv2d,
    SparseLayer,
)
from wider.sparsity._mask import Mask, mask_of, stored_parameter
from wider.sparsity._masked import (
    drop_masks_hooks,
    has_another_parametrisation,
    masked_parameters,
    put_mask,
    remove_masks,
)
from wider.sparsity._matrices import EXCLUDED
from wider.sparsity._native import layer_shapes, layer_times, native_layer, reason_to_stay, table_of

AnyModule = TypeVar("AnyModule", bound=nn.Module)

NATIVE_KINDS: dict[type[nn.Module], type[nn.Module]] = {  # that keep their parameters
    nn.BatchNorm2d: NativeBatchNorm2d,
    BatchNormReLU: NativeBatchNormReLU,
    nn.Conv2d: NativeConv2d,
}
PLAIN_KINDS = {native: plain for plain, native in NATIVE_KINDS.items()}


def to_native(module: AnyModule, *, inputs: Inputs | None = None) -> AnyModule:
    """Replaces the sparse layers of a net by layers that store and compute the non-zeros only.

    Done in place; outputs stay the same to float32 rounding. Linear and 2-d convolutional layers
    become native where a model of costs (`wider.native.cost`) expects them to be faster for such
    inputs on as many threads as PyTorch has now. Others stay as they are: denser ones, which
    PyTorch computes faster, convolutions with groups, dilation or another padding than zeros,
    subclasses, whose forward may do more, and layers with a second parametrisation, a parametrised
    bias, a hook on the weight itself, or a weight shared with one that stays. Each is the same
    object afterwards, with its bias, hooks, modes, gradients, and what you have put into it; its
    parameter `parametrizations.weight.original` becomes `values`, so make the optimiser
    afterwards. BatchNorm layers (`nn.BatchNorm2d`, `BatchNormReLU`), and convolutions that keep all
    their weights where native code is faster, keep their parameters and only compute natively from
    then on.

    Args:
        module: a net that was sparsified.
        inputs: a batch such as it will be trained on: a tensor, a tuple (positional arguments) or a
            mapping (keyword arguments). If given, each sparse layer is timed, masked and native,
            and a table of them is printed (see `layer_times`). Without it, 128 images are assumed,
            and convolutions to see 16x16 of them.

    Returns:
        The same module.

    Raises:
        InputError: the net does not take such inputs.
    """
    if inputs is None:
        return make_native(module, {})
    sys.stdout.write(table_of(layer_times(module, inputs)) + "\n")
    return make_native(module, layer_shapes(module, inputs))


def make_native(module: AnyModule, shapes: Mapping[str, Sequence[int]]) -> AnyModule:
    """As `to_native`, for layers whose inputs have known shapes.

    Args:
        module: a net that was sparsified.
        shapes: of the inputs of layers, by name, as `layer_shapes` finds them; others are taken to
            be usual.

    Returns:
        The same module.
    """
    parts = dict(module.named_modules())
    ready = [layer for name, layer in parts.items() if _gains(layer, shapes.get(name))]
    for part in parts.values():
        kind = type(part)
        if kind in NATIVE_KINDS and (kind is not nn.Conv2d or part in ready):
            cast(Any, part).__class__ = NATIVE_KINDS[kind]
    ready = [layer for layer in ready if mask_of(layer) is not None]
    users = Counter(id(each) for part in parts.values() for each in part.parameters(recurse=False))
    ready_users = Counter(id(stored_parameter(layer, "weight")) for layer in ready)
    shared: dict[int, nn.Parameter] = {}
    for layer in ready:
        key = id(stored_parameter(layer, "weight"))
        if users[key] == ready_users[key]:
            shared[key] = _make_native(layer, shared.get(key))
    return module


def has_native_form(module: nn.Module) -> bool:
    """Whether `to_native` would make any part of a net compute natively."""
    return any(
        (type(part) in NATIVE_KINDS and type(part) is not nn.Conv2d) or _gains(part, None)
        for part in module.modules()
    )


def _gains(layer: nn.Module, shape: Sequence[int] | None) -> bool:
    """Whether a layer is one of those that can become native, and gains by it."""
    is_masked = mask_of(layer) is not None
    return (is_masked or type(layer) is nn.Conv2d) and not reason_to_stay(layer, shape)


def to_masked(module: AnyModule) -> AnyModule:
    """The inverse of `to_native`: every native layer becomes a masked one, in place.

    Args:
        module: any net.

    Returns:
        The same module.

    Raises:
        InputError: a hook was registered on the `values` of a layer.
    """
    shared: dict[int, nn.Parameter] = {}
    for part in list(module.modules()):
        if type(part) in PLAIN_KINDS:
            part.__class__ = PLAIN_KINDS[type(part)]
        elif isinstance(part, SparseLayer):
            key = id(part.values)
            shared[key] = _make_masked(part, shared.get(key))
    return module


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


def _make_native(layer: Any, values: nn.Parameter | None) -> nn.Parameter:
    """Makes a masked layer compute natively, as the object that it is.

    Args:
        layer: that may become native.
        values: of a layer that it shares its weight with, None of the first one.

    Returns:
        Its values.
    """
    native = native_layer(layer)
    assert native is not None
    stored, bias = stored_parameter(layer, "weight"), layer.bias
    if values is None:
        values = _like(native.values, stored, native.gathered)
    del layer.parametrizations, layer.bias
    drop_masks_hooks(layer)
    layer.__class__ = type(native)
    own = vars(layer)
    own.update({name: value for name, value in vars(native).items() if name not in own})
    for name, buffer in native.named_buffers():
        layer.register_buffer(name, buffer)
    layer.values = values
    layer.register_parameter("bias", bias)  # the same: its gradient, its hooks, its ties
    return values


def _make_masked(layer: Any, weight: nn.Parameter | None) -> nn.Parameter:
    """The inverse of `_make_native`."""
    kind = nn.Linear if len(layer.shape) == 2 else nn.Conv2d
    mask, values = layer.mask(), layer.values
    if values._backward_hooks or values._post_accumulate_grad_hooks:
        raise InputError(
            "the values of a native layer have a hook, which would not know the masked weight: "
            "remove the hook before to_masked"
        )
    if weight is None:
        weight = _like(nn.Parameter(layer.dense_weight().detach()), values, layer.spread)
    del layer.values, layer.columns, layer.starts, layer.shape
    layer.__class__ = kind
    layer.weight = weight
    # In the order that they have in a plain layer.
    layer._parameters = {"weight": weight, **layer._parameters}
    put_mask(layer, "weight", Mask(mask))
    return weight


def _like(new: nn.Parameter, old: nn.Parameter, moved: Callable[[Tensor], Tensor]) -> nn.Parameter:
    """The new parameter with all that the old one had but its numbers."""
    new.requires_grad_(old.requires_grad)
    vars(new).update(vars(old))
    if old.grad is not None:
        new.grad = moved(old.grad)
    return new
