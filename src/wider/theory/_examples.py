"""Several inputs of a net, one after the other along the first dimension of each tensor."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from wider.errors import InputError
from wider.inputs import Inputs, arguments, described, tensors_in, with_tensors


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
