"""The layers whose weights are one matrix, or one for each place of a kernel."""

from typing import cast

from torch import Tensor, nn

from wider.sparsity._matrices import WeightLayer, matrices, stored_parameter


def weight_layers(module: nn.Module) -> dict[str, WeightLayer]:
    """The linear and (transposed) convolutional layers of a net among what its budget counts.

    Args:
        module: any module.

    Returns:
        {qualified name: layer} in the order of the module; see `matrices` for what is left out.

    Raises:
        InputError: as `matrices`.
    """
    return {
        name: cast(WeightLayer, matrix.module)
        for name, matrix in matrices(module).items()
        if isinstance(matrix.module, WeightLayer)
    }


def stored_weight(layer: WeightLayer) -> Tensor:
    """The (first) parameter behind a layer's weight, before any parametrisation."""
    return stored_parameter(layer, "weight")


def tied_tensors(module: nn.Module) -> list[tuple[str, str]]:
    """Pairs of parameter names under which two different layers share one tensor."""
    first_name: dict[int, str] = {}
    pairs = []
    for module_name, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            full_name = f"{module_name}.{name}" if module_name else name
            if id(parameter) in first_name:
                pairs.append((first_name[id(parameter)], full_name))
            first_name.setdefault(id(parameter), full_name)
    return pairs
