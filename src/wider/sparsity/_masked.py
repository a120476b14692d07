"""Modules with masks: what they store and load, how they are pickled, and what writes do."""

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.sparsity._mask import (
    Mask,
    in_shards,
    is_sharded,
    parametrizations_of,
    stored_parameter,
)
from wider.sparsity._matrices import Matrix, every_matrix

ORDER = "_parameters_before_masks"  # attribute of a module


def put_mask(module: nn.Module, parameter: str, mask: Mask) -> None:
    """Has a module compute with a parameter whose removed entries are zero.

    From then on its state dict has the masked weight under the parameter's own name, and the mask
    beside it; a dense checkpoint loads, and one with the names of `torch.nn.utils.parametrize`. The
    module can be pickled, and `reset_parameters` draws what a fresh sparse one would have.

    Args:
        module: any module.
        parameter: of it.
        mask: shaped like the parameter; tied parameters share one.
    """
    if not hasattr(module, ORDER):
        setattr(module, ORDER, tuple(module._parameters))
        module.register_state_dict_post_hook(_under_plain_names)
        module.register_load_state_dict_pre_hook(_from_plain_names)
    parametrize.register_parametrization(module, parameter, mask)
    _adapt_class(module)
    if isinstance(module, nn.RNNBase):
        _read_weights_anew(module)


def masked_parameters(module: nn.Module) -> dict[str, Mask]:
    """The parameters of a module that a mask alone stands before, without those of its parts."""
    if not parametrize.is_parametrized(module):
        return {}
    lists = {name: parametrizations_of(module, name) for name in _parametrized(module)}
    return {
        name: cast(Mask, steps[0])
        for name, steps in lists.items()
        if len(steps) == 1 and isinstance(steps[0], Mask)
    }


def has_another_parametrisation(module: nn.Module) -> bool:
    """Whether something else stands before a parameter of a masked module, too."""
    if not parametrize.is_parametrized(module) or not hasattr(module, ORDER):
        return False
    return set(masked_parameters(module)) != set(_parametrized(module))


def remove_masks(module: nn.Module) -> None:
    """Makes a module the plain one again, with zeros in the removed places.

    Unlike torch's `remove_parametrizations` it leaves deep copies of the module alone, which share
    its class, and the order of the parameters is that from before the masks.

    Args:
        module: all of whose parametrised tensors have a mask alone.
    """
    parameters: dict[str, Any] = dict(module._parameters)
    for name, mask in masked_parameters(module).items():
        stored = stored_parameter(module, name)
        with torch.no_grad():
            stored.data = mask(stored.data)
        parameters[name] = stored
    order = cast(tuple[str, ...], getattr(module, ORDER))
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module._modules["parametrizations"]
    module._parameters = {name: parameters[name] for name in [*order, *parameters]}
    drop_masks_hooks(module)
    if isinstance(module, nn.RNNBase):
        _read_weights_once(module)


def drop_masks_hooks(module: nn.Module) -> None:
    """Has a module that was masked forget how it stored its masks."""
    delattr(module, ORDER)
    for hooks in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
        for key, hook in list(hooks.items()):
            if getattr(hook, "hook", hook) in (_under_plain_names, _from_plain_names):
                del hooks[key]


def scale_up(matrix: Matrix, mask: Bool[Tensor, "..."], scaled: set[tuple[int, int]]) -> None:
    """Divides a matrix and its biases by the root of its connectivity.

    Args:
        matrix: whose outputs keep their scale so.
        mask: of the matrix.
        scaled: (tensor, first row) of what was scaled before, which is left alone and added to.
    """
    scale = math.sqrt(mask.numel() / int(torch.count_nonzero(mask)))
    for tensor in scaled_tensors(matrix):
        place = (id(tensor), matrix.piece.first)
        if place not in scaled:
            scaled.add(place)
            with torch.no_grad():
                (tensor if matrix.piece.last is None else tensor[matrix.rows]).mul_(scale)


def scaled_tensors(matrix: Matrix) -> Iterator[Tensor]:
    """The parameters whose rows keep the outputs' scale."""
    yield matrix.stored
    if matrix.piece.bias is not None:
        yield stored_parameter(matrix.module, matrix.piece.bias)


def _parametrized(module: nn.Module) -> list[str]:
    return list(cast(nn.ModuleDict, module.parametrizations))


def _stored_name(name: str) -> str:
    return f"parametrizations.{name}.original"


def _mask_name(name: str) -> str:
    return f"parametrizations.{name}.0.mask"


def _under_plain_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, mask in masked_parameters(module).items():
        stored = state.pop(prefix + _stored_name(name), None)
        if stored is None:
            continue
        if type(stored) in (Tensor, nn.Parameter) or is_sharded(stored):
            # In place, so that who writes to a state dict's tensors, as averages of weights do,
            # still writes to the net. Through `data`, as a graph may be waiting for its gradient.
            stored.data.masked_fill_(~in_shards(mask.mask, stored), 0)
        state[prefix + name] = stored
    order = [prefix + name for name in getattr(module, ORDER)]
    own = [key for key in state if key.startswith(prefix)]
    for key in [key for key in order if key in state] + [key for key in own if key not in order]:
        state[key] = state.pop(key)


def _from_plain_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, mask in masked_parameters(module).items():
        plain, stored, kept = (
            prefix + each for each in (name, _stored_name(name), _mask_name(name))
        )
        if plain not in state:
            continue
        # Beside it torch's `set_model_state_dict` may have put what the net stores already.
        state[stored] = in_shards(state.pop(plain), stored_parameter(module, name))
        if kept not in state and state[stored].shape == mask.mask.shape:
            state[stored] = mask(state[stored].to(mask.mask.device))
            state[kept] = mask.mask


def _adapt_class(module: nn.Module) -> None:
    """Of a module whose class torch has just made for it, and that deep copies share."""
    kind: Any = type(module)
    kind.__reduce_ex__ = _reduced
    if hasattr(kind, "reset_parameters"):
        kind.reset_parameters = _reset_parameters


def _reduced(module: nn.Module, _: object) -> tuple[Any, ...]:
    if has_another_parametrisation(module):
        raise InputError(
            f"a {parametrize.type_before_parametrizations(module).__name__} has a mask and another "
            "parametrisation, and cannot be pickled with both: save its state dict, or remove the "
            "other one"
        )
    kind: Any = parametrize.type_before_parametrizations(module)
    state = dict(kind.__getstate__(module))
    # The state apart, as hooks may refer to the module itself.
    return _blank, (kind,), state, None, None, _restore


def _blank(kind: type[nn.Module]) -> nn.Module:
    return kind.__new__(kind)


def _restore(module: nn.Module, state: dict[str, Any]) -> None:
    modules = dict(state["_modules"])
    lists = modules.pop("parametrizations")
    parameters = state["_parameters"] | {name: steps.original for name, steps in lists.items()}
    module.__setstate__({**state, "_modules": modules, "_parameters": parameters})
    for name, steps in lists.items():
        put_mask(module, name, steps[0])


def _reset_parameters(module: Any) -> None:
    """As a fresh module that is sparsified with these masks."""
    kind = parametrize.type_before_parametrizations(module)
    plain: Any = _blank(kind)
    plain.__dict__.update(module.__dict__)
    plain._parameters = dict(module._parameters)
    plain._modules = {
        name: part for name, part in module._modules.items() if name != "parametrizations"
    }
    for name in _parametrized(module):
        plain._parameters[name] = stored_parameter(module, name)
    plain._parameters = {name: plain._parameters[name] for name in getattr(module, ORDER)}
    plain.reset_parameters()  # in place, so in the tensors of this one
    for name, mask in masked_parameters(module).items():
        stored_parameter(module, name).data.masked_fill_(~mask.mask, 0)
    scaled: set[tuple[int, int]] = set()
    for matrix in every_matrix(module):
        if matrix.module is module and (mask := matrix.mask) is not None:
            scale_up(matrix, mask, scaled)


def _read_weights_anew(layer: nn.RNNBase) -> None:
    """Has the layer read its masked weights in each forward, not once and for all.

    Args:
        layer: of which some weights were given a mask.
    """
    _put_stored(layer)
    if _put_masked not in layer._forward_pre_hooks.values():
        layer.register_forward_pre_hook(_put_masked)
        layer.register_forward_hook(_put_stored)


def _read_weights_once(layer: nn.RNNBase) -> None:
    """Has the layer keep its weights, as it does without masks.

    Args:
        layer: that was told to read them anew.
    """
    for hooks in (layer._forward_pre_hooks, layer._forward_hooks):
        for key, hook in list(hooks.items()):
            if hook in (_put_masked, _put_stored):
                del hooks[key]
    _put_stored(layer)


def _put_masked(layer: nn.RNNBase, *_: Any) -> None:
    names: Any = layer._flat_weights_names
    layer._flat_weights = [getattr(layer, name) for name in names]


def _put_stored(layer: nn.RNNBase, *_: Any) -> None:
    # Tensors with a history cannot be copied with the layer.
    names: Any = layer._flat_weights_names
    layer._flat_weights = [stored_parameter(layer, name) for name in names]
