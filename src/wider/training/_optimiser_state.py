"""What an optimiser remembers, as named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from wider.errors import InputError

Slots = dict[str, dict[str, Tensor]]
"""{parameter: {slot: tensor}}. What a group of parameters has is there with each of them, so that a
state does not depend on the groups."""

MOMENTUM = "momentum_buffer"  # SGD's, which has a name of its own in a state
OF_GROUP, NUMBER = "group:", "number:"  # marks of slots
OWN_TYPES = (bool, int, float)
SET_ANEW = ("params", "lr")  # of a group


def named(slots: Slots) -> dict[str, Tensor]:
    """For a checkpoint."""
    return {
        f"momentum.{name}" if slot == MOMENTUM else f"optimiser.{slot}.{name}": tensor
        for name, own in slots.items()
        for slot, tensor in own.items()
    }


def slots_in(state: Mapping[str, Tensor]) -> Slots:
    """The inverse of `named`, from among other tensors."""
    slots: Slots = {}
    for key, tensor in state.items():
        kind, _, rest = key.partition(".")
        if kind == "momentum":
            slots.setdefault(rest, {})[MOMENTUM] = tensor
        elif kind == "optimiser":
            slot, _, name = rest.partition(".")
            slots.setdefault(name, {})[slot] = tensor
    return slots


class Remembering:
    """An optimiser with its parameters by name.

    Args:
        optimiser: just made.
        parameters: that it changes.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, parameters: Mapping[str, torch.nn.Parameter]
    ) -> None:
        self._optimiser = optimiser
        self._parameters = parameters
        self._groups = {
            id(parameter): group
            for group in optimiser.param_groups
            for parameter in group["params"]
        }
        self._as_made = {id(group): dict(group) for group in optimiser.param_groups}

    def slots(self) -> Slots:
        """All that the next step depends on beside parameters, gradients and options.

        Raises:
            InputError: no checkpoint could hold it.
        """
        known = {id(parameter) for parameter in self._parameters.values()}
        for key in self._optimiser.state:
            if id(key) not in known:
                self._refuse(repr(key), "something of no parameter")
        slots: Slots = {}
        for name, parameter in self._parameters.items():
            own = dict(self._optimiser.state.get(parameter, {}))
            group = self._groups[id(parameter)]
            made = self._as_made[id(group)]
            for key, value in group.items():
                if key not in SET_ANEW and _differ(value, made.get(key)):
                    own[f"{OF_GROUP}{key}"] = value
            if found := dict(
                self._slot(key, value) for key, value in own.items() if value is not None
            ):
                slots[name] = found
        return slots

    def restore(self, slots: Slots) -> None:
        """The inverse of `slots`."""
        for name, parameter in self._parameters.items():
            group = self._groups[id(parameter)]
            for slot, tensor in slots.get(name, {}).items():
                key, is_number = slot.removeprefix(OF_GROUP), False
                if key.startswith(NUMBER):
                    key, is_number = key.removeprefix(NUMBER), True
                value = tensor.item() if is_number else _placed(tensor, parameter, group)
                if slot.startswith(OF_GROUP):
                    group[key] = value
                else:
                    self._optimiser.state[parameter][key] = value

    def _slot(self, key: str, value: Any) -> tuple[str, Tensor]:
        if not isinstance(value, (Tensor, *OWN_TYPES)) or "." in key:
            self._refuse(repr(key), type(value).__name__)
        if isinstance(value, Tensor):
            return key, value
        place, mark = (
            (OF_GROUP, key.removeprefix(OF_GROUP)) if key.startswith(OF_GROUP) else ("", key)
        )
        dtype = torch.float64 if isinstance(value, float) else None
        return f"{place}{NUMBER}{mark}", torch.tensor(value, dtype=dtype)

    def _refuse(self, key: str, kind: str) -> None:
        raise InputError(
            f"the optimiser {type(self._optimiser).__name__} keeps {kind} under {key}, which no "
            "checkpoint holds: keep tensors and numbers for each parameter or group, under names "
            "without dots"
        )


def _differ(value: Any, made: Any) -> bool:
    if isinstance(value, Tensor) or isinstance(made, Tensor):
        return True  # its numbers may have changed in place
    return value is not made and value != made


def _placed(tensor: Tensor, parameter: torch.nn.Parameter, group: Mapping[str, Any]) -> Tensor:
    """A copy where the optimiser wants it."""
    if tensor.shape == parameter.shape:
        # Laid out in memory as the parameter is: fused optimisers ask for it.
        empty = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
        return empty.copy_(tensor)
    # A count of steps stays on the CPU, where nothing waits for it, unless one kernel reads it.
    on_device = tensor.dim() > 0 or group.get("fused") or group.get("capturable")
    return tensor.to(parameter.device if on_device else "cpu", copy=True)
