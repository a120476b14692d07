"""Kernels of one net as it is, by its features or by its gradients."""

import copy
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy

from wider.errors import InputError
from wider.inputs import Inputs, attention_by_modules, described, with_tensors
from wider.theory._rows import Examples, Rows, feature_rows, jacobian_rows, output_of

KernelKind = Literal["conjugate", "tangent"]


def empirical_kernel(
    module: nn.Module,
    x: Inputs,
    y: Inputs | None = None,
    *,
    kind: KernelKind = "conjugate",
    layer: str | None = None,
    batch_size: int = 32,
) -> Float64[Tensor, "p q"]:
    """The conjugate or the neural tangent kernel of one net, at its present weights.

    - "conjugate": phi(x).phi(y) / n, with phi the n features that enter the last weight layer,
      flattened. For an NTK-style net of width n this is the kernel of the Gaussian process that
      the net becomes when its last layer alone is drawn anew.
    - "tangent": 1/C sum_c df_c(x)/dw . df_c(y)/dw, the trace over the C outputs (flattened),
      divided by C, with w all trainable parameters: weights that are kept, biases, parameters of
      normalisation. Weights that a mask removed count nothing, frozen parameters neither.

    Computed in float64 on a copy of the net, in eval mode (BatchNorm takes its running statistics),
    so the net itself is left as it was. Masked and native nets give the same kernel: in float64
    native layers compute with PyTorch's operations. The mean squared distance of two kernels is
    `(one - other).square().mean()`.

    Args:
        module: any net whose outputs for an example depend on that example alone; for "tangent" one
            that `torch.func.jacrev` can transform, and that returns a tensor or has it as the
            `logits` of what it returns.
        x: p inputs as the net takes them: a tensor, a tuple (positional arguments) or a mapping
            (keyword arguments), in which every tensor has the inputs along its first dimension.
            Moved to the net's device; integers, such as tokens, stay integers.
        y: the same for the kernel's q columns; None for x.
        kind: "conjugate" or "tangent".
        layer: name of the layer whose input is the features of the conjugate kernel; None for the
            weight layer that runs last. Where a layer runs more than once, its last input counts.
        batch_size: inputs at a time. For "tangent", two batches of Jacobians are held at once, of
            8 batch_size C (parameters) bytes each, and those of y are computed again for every
            batch of x: the larger, the faster.

    Returns:
        The kernel of all pairs, on the device of x.

    Raises:
        InputError: shapes that do not fit the net or one another, no inputs, an unknown kind or
            layer, a net without weight layers or without trainable parameters, one whose last
            weight layer is not one matrix times its input (attention, recurrent, `nn.Bilinear`).

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
        >>> empirical_kernel(nn.Linear(2, 4, bias=False), x, kind="tangent")
        tensor([[5., 6.],
                [6., 9.]], dtype=torch.float64)

    Source:
        Jacot et al. 2018 (tangent kernel); Lee et al. 2018 (the process of the last layer).
    """
    _check_options(kind, layer, batch_size)
    rows, columns = Examples(x), None if y is None else Examples(y)
    _check_inputs(rows, rows if columns is None else columns)
    net = _in_double_precision(module)
    of_x, of_y = _moved(rows, net), None if columns is None else _moved(columns, net)
    # torch.func knows the plain products of attention, not the kernels that fuse them.
    with attention_by_modules(), sdpa_kernel(SDPBackend.MATH):
        _check_one_runs(net, of_x[:1], needs_tensor=kind == "tangent")
        made = feature_rows(net, layer) if kind == "conjugate" else jacobian_rows(net, of_x[:1])
        kernel = _products(made, of_x, of_y, batch_size)
    return kernel.to(rows.tensors[0].device)


def _products(
    rows: Rows, x: Examples, y: Examples | None, batch_size: int
) -> Float64[Tensor, "p q"]:
    columns = x if y is None else y
    shape, device = (len(x), len(columns)), x.tensors[0].device
    kernel = torch.empty(shape, dtype=torch.float64, device=device)
    for x_start in range(0, len(x), batch_size):
        x_part = slice(x_start, x_start + batch_size)
        x_rows = rows(x[x_part])
        for y_start in range(0 if y is not None else x_start, len(columns), batch_size):
            y_part = slice(y_start, y_start + batch_size)
            same = y is None and y_start == x_start
            kernel[x_part, y_part] = _product(x_rows, x_rows if same else rows(columns[y_part]))
            if y is None and not same:
                kernel[y_part, x_part] = kernel[x_part, y_part].T
    return kernel


def _product(x_rows: list[Tensor], y_rows: list[Tensor]) -> Tensor:
    products = [x.flatten(1) @ y.flatten(1).T for x, y in zip(x_rows, y_rows, strict=True)]
    return torch.stack(products).sum(0) / x_rows[0].shape[1]


def _in_double_precision(module: nn.Module) -> nn.Module:
    if any(is_lazy(parameter) for parameter in module.parameters()):
        raise InputError("the net does not know its shapes yet: run one batch through it first")
    try:
        net = copy.deepcopy(module)
    except RuntimeError as error:
        raise InputError(
            "the net cannot be copied; weights that a hook computes anew (prune, the old "
            f"weight_norm) stand in the way: remove the hooks first ({error})"
        ) from error
    return net.double().eval()


def _moved(examples: Examples, net: nn.Module) -> Examples:
    def moved(tensor: Tensor) -> Tensor:
        tensor = tensor.detach().to(next(net.parameters(), tensor).device)
        # Integers are the names of tokens, and stay.
        return tensor.double() if tensor.is_floating_point() else tensor

    return Examples(with_tensors(moved, examples.inputs))


def _check_options(kind: str, layer: str | None, batch_size: int) -> None:
    if kind not in ("conjugate", "tangent"):
        raise InputError(f"unknown kind {kind!r}; use 'conjugate' or 'tangent'")
    if layer is not None and kind == "tangent":
        raise InputError(
            f"layer is {layer!r}, but the tangent kernel is that of the whole net: leave it out, "
            "or use kind='conjugate'"
        )
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")


def _check_inputs(x: Examples, y: Examples) -> None:
    if x.shape_of_one != y.shape_of_one:
        raise InputError(
            f"x is {described(x.inputs)} and y {described(y.inputs)}: both hold inputs of one "
            "shape, along their first dimension"
        )
    if not len(x) or not len(y):
        raise InputError(f"{len(x)} inputs x and {len(y)} inputs y: give at least one of each")


def _check_one_runs(net: nn.Module, one: Examples, *, needs_tensor: bool) -> None:
    args, keywords = one.arguments()
    try:
        with torch.no_grad():
            outputs = net(*args, **keywords)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"the net does not take the inputs {described(one.inputs)} in float64: {error}"
        ) from error
    if needs_tensor and output_of(outputs) is None:
        raise InputError(
            f"the net returns a {type(outputs).__name__}: wrap it in a module that returns the "
            "tensor to be derived"
        )
