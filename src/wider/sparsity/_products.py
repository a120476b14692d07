"""The products of matrices in a forward pass, as PyTorch computes them."""

from collections import Counter
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wider.sparsity._weights_in_memory import Owner, WeightsInMemory

# {operation: which of its arguments is the first factor; the second one follows it}
FACTORS = {
    "aten::mm": 0, "aten::addmm": 1, "aten::_addmm_activation": 1, "aten::bmm": 0,
    "aten::baddbmm": 1, "aten::addbmm": 1, "aten::mv": 0, "aten::addmv": 1, "aten::dot": 0,
}  # fmt: skip
CONVOLUTION = "aten::convolution"
ATTENTION = "aten::_scaled_dot_product_"  # of every backend
GROUPED = ("aten::_grouped_mm", "transformers::grouped_mm_fallback")
COPIES = ("aten::clone", "aten::_to_copy", "aten::index")


class Products(TorchDispatchMode):
    """Counts the multiply-adds of every product of matrices that is computed within it.

    Where one factor is weights, those that are kept count, under the name of their module. The
    product of two activations counts in full, under the name of the module that runs.

    Args:
        weights: of the net.

    Attributes:
        found: {(name of the module, what of it): multiply-adds}.
    """

    def __init__(self, weights: WeightsInMemory) -> None:
        super().__init__()
        self.found: Counter[Owner] = Counter()
        self._running: list[str] = []
        self._muted = 0
        self._weights = weights

    def enter(self, name: str, *, is_whole: bool) -> None:
        """A module starts.

        Args:
            name: of it.
            is_whole: whether it is counted as a whole, so that nothing is within it.
        """
        self._running.append(name)
        self._muted += is_whole
        self._weights.enter()

    def leave(self, *, is_whole: bool) -> None:
        """The last module that started ends."""
        self._running.pop()
        self._muted -= is_whole
        self._weights.leave()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Runs an operation and counts it."""
        name = func._schema.name
        if not self._is_counted(name):
            # In inference mode, linear and the like come in one piece.
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = func(*args, **(kwargs or {}))
        if not self._muted:
            self._count(name, args, kwargs or {}, result)
        return result

    def _is_counted(self, name: str) -> bool:
        is_attention = name.startswith(ATTENTION) and not name.endswith("attention_math")
        return is_attention or name in (*FACTORS, CONVOLUTION, *GROUPED)

    def _count(self, name: str, args: tuple, kwargs: dict, result: Any) -> None:
        if name in FACTORS:
            one, other = args[FACTORS[name] : FACTORS[name] + 2]
            self._add(one.numel() * (other.shape[-1] if other.dim() > 1 else 1), other, one)
        elif name == CONVOLUTION:
            images, weight, transposed = args[0], args[1], args[6]
            positions = images if transposed else result
            self._add(len(images) * positions.shape[2:].numel() * weight.numel(), weight)
        elif name in GROUPED:
            self._count_groups(args[1], args[2] if len(args) > 2 else kwargs["offs"])
        elif name in COPIES:
            self._weights.copied(args[0], result, args[1] if name == "aten::index" else None)
        elif self._is_counted(name):
            query, key, value = args[:3]
            rows = query.numel() // query.shape[-1]
            self._add(rows * key.shape[-2] * (query.shape[-1] + value.shape[-1]))

    def _count_groups(self, matrices: Tensor, ends: Tensor) -> None:
        """Of which each takes the rows up to its end, as experts take their tokens."""
        start = 0
        for matrix, end in zip(matrices.unbind(), ends.tolist(), strict=True):
            self._add((end - start) * matrix.numel(), matrix)
            start = end

    def _add(self, total: int, *factors: Tensor) -> None:
        """A product of so many multiply-adds, if it were in full."""
        if not total:
            return
        for factor in factors:
            if (kept := self._weights.kept(factor)) is not None:
                uses = total // factor.numel()
                self.found.update({owner: count * uses for owner, count in kept.items()})
                return
        self.found[self._running[-1], None] += total
