"""Inputs one after the other, and what a net makes of each: features, or gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.inputs import Inputs, arguments, described, tensors_in, with_tensors
from wider.sparsity import WeightLayer, all_matrices


class Examples:
    """Inputs of a net of which one or several can be taken out.

    Args:
        inputs: tensors that all have the examples along their first dimension; what is no tensor
            belongs to every example.

    Raises:
        InputError: no tensor, one without a first dimension, or first dimensions that differ.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.tensors: list[Tensor] = tensors_in(inputs)
        have_rows = all(isinstance(each, Tensor) and each.dim() for each in self.tensors)
        if not self.tensors or not have_rows or len({len(each) for each in self.tensors}) > 1:
            raise InputError(
                f"the inputs are {described(inputs)}: give tensors that hold as many examples "
                "each, along their first dimension"
            )

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, rows: slice) -> "Examples":
        return Examples(with_tensors(lambda tensor: tensor[rows], self.inputs))

    @property
    def shape_of_one(self) -> Any:
        """The same for inputs that the same net takes."""
        return with_tensors(lambda tensor: tuple(tensor.shape[1:]), self.inputs)

    def arguments(
        self, tensors: Sequence[Tensor] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the net is called with.

        Args:
            tensors: in place of the examples' own; None for those.

        Returns:
            Positional and keyword arguments.
        """
        rest = iter(self.tensors if tensors is None else tensors)
        return arguments(with_tensors(lambda _: next(rest), self.inputs))


Rows = Callable[[Examples], list[Tensor]]
"""From a batch of examples to tensors whose first dimension is the batch."""


def feature_rows(net: nn.Module, layer: str | None) -> Rows:
    """The features of each input.

    Args:
        net: gets hooks that stay, so give it a copy.
        layer: whose input is the features; None for the weight layer that runs last.

    Returns:
        A function from a batch of inputs to their features (batch, features), in a list of one.

    Raises:
        InputError: an unknown layer or no weight layer; from the returned function, a layer that
            does not run, does not see the batch along its first dimension, or has no features: its
            outputs are not one matrix times its input.
    """
    last: list[tuple[str, nn.Module, Any]] = []

    def watch(name: str, part: nn.Module) -> None:
        def remember(_part: nn.Module, inputs: tuple, keywords: dict) -> None:
            given = next(iter((*inputs, *keywords.values())), None)
            # A copy, since what follows may write into it in place.
            last[:] = [(name, part, given.clone() if isinstance(given, Tensor) else given)]

        part.register_forward_pre_hook(remember, with_kwargs=True)

    for name, part in _watched(net, layer).items():
        watch(name, part)

    def rows(batch: Examples) -> list[Tensor]:
        last.clear()
        args, keywords = batch.arguments()
        with torch.no_grad():
            net(*args, **keywords)
        if not last:
            which = "no weight layer" if layer is None else f"layer {layer!r} never"
            raise InputError(f"{which} runs in a forward pass: name a layer that does")
        return [_checked(*last[0], len(batch), is_named=layer is not None)]

    return rows


def _checked(name: str, part: nn.Module, given: Any, count: int, *, is_named: bool) -> Tensor:
    kind = parametrize.type_before_parametrizations(part).__name__
    if isinstance(part, nn.Bilinear) or not (is_named or _is_one_matrix(part)):
        raise InputError(
            f"layer {name!r}, whose input would be the features, is a {kind}: its outputs are not "
            "one matrix times its input; name another layer"
        )
    if not isinstance(given, Tensor) or not given.dim() or len(given) != count:
        found = tuple(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise InputError(
            f"the features are {found} for {count} inputs: name a layer whose input has the batch "
            "as its first dimension"
        )
    return given.reshape(count, -1)


def jacobian_rows(net: nn.Module, one: Examples) -> Rows:
    """The gradients of every output of each input.

    Args:
        net: computes in float64; its parameters are frozen, so give it a copy.
        one: an example.

    Returns:
        A function from a batch of inputs to the Jacobians (batch, outputs, ...), one per trainable
        parameter.

    Raises:
        InputError: no trainable parameter, or a net that `torch.func` cannot derive.

    Source:
        Novak et al. 2022 ("Jacobian contraction"); PyTorch's tutorial on neural tangent kernels.
    """
    parameters = {
        name: parameter.detach()
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
    }
    if not parameters:
        raise InputError(
            "the net has no trainable parameter to derive by: unfreeze some with "
            "requires_grad_(True)"
        )
    net.requires_grad_(False)

    def outputs(parameters: dict[str, Tensor], tensors: list[Tensor]) -> Tensor:
        arguments = one.arguments([tensor[None] for tensor in tensors])
        found = output_of(functional_call(net, parameters, *arguments))
        assert found is not None
        return found.flatten()

    derive = jacrev(outputs)

    def one_by_one(parameters: dict[str, Tensor], tensors: list[Tensor]) -> dict[str, Tensor]:
        each = [derive(parameters, list(row)) for row in zip(*tensors, strict=True)]
        return {name: torch.stack([found[name] for found in each]) for name in parameters}

    reason = None
    # Recurrent layers, and nets that branch on the numbers they see, take no two at a time.
    for way in (vmap(derive, in_dims=(None, 0)), one_by_one):
        try:
            way(parameters, one.tensors)
        except RuntimeError as error:
            reason = error
        else:
            return lambda batch: list(way(parameters, batch.tensors).values())
    raise InputError(f"torch.func cannot derive the net by its parameters: {reason}") from reason


def output_of(outputs: Any) -> Tensor | None:
    """The tensor that a net returns, or the logits of what it returns; None where it has none."""
    found = getattr(outputs, "logits", outputs)
    return found if isinstance(found, Tensor) else None


def _watched(net: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    parts = dict(net.named_modules())
    have_matrices = {matrix.module for matrix in all_matrices(net)}
    # Native layers are known by their method: theory imports no room but one.
    found = {
        name: part
        for name, part in parts.items()
        if part in have_matrices or hasattr(part, "dense_weight")
    }
    if layer is None and not found:
        raise InputError(
            "the net has no linear or convolutional layer whose input would be its features: name "
            "a layer"
        )
    if layer is None:
        return found
    if layer not in parts:
        raise InputError(f"unknown layer {layer!r}; the net has " + ", ".join(map(repr, found)))
    return {layer: parts[layer]}


def _is_one_matrix(part: nn.Module) -> bool:
    if isinstance(part, WeightLayer) or hasattr(part, "dense_weight"):
        return True
    is_whole = [matrix.piece.suffix == "" for matrix in all_matrices(part) if matrix.module is part]
    return is_whole == [True] and not isinstance(part, nn.Bilinear)
