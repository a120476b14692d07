"""docs/ecosystem.md; written by `.venv/bin/python -m tests.ecosystem.table`."""

import warnings
from pathlib import Path

from torch import nn

import wider

from . import of_timm, of_torch, of_transformers
from .net import Net

DOCUMENT = Path(__file__).parents[2] / "docs" / "ecosystem.md"
NETS = [*of_timm.NETS, *of_transformers.NETS, *of_torch.NETS]
REFUSED = [*of_timm.REFUSED, *of_transformers.REFUSED]
HEADER = """\
# Nets of others

What the budget covers in small, random nets of timm, transformers and plain torch. Each is
sparsified to a quarter, trained for 30 steps of AdamW and counted again by brute force in
`tests/ecosystem/`; saved, loaded and made dense with the same outputs; made native, as many of its
layers as the table says, with the same outputs in training and after it; and compiled for one step
with the same gradients. Nets that are refused are left as they were, and can be sparsified when the
layers are left out with `exclude`; their weights are then what is left. This page is written by
`.venv/bin/python -m tests.ecosystem.table`.

| net | from | weights counted | in embeddings, not counted | in tensors that no rule covers \
| matrices | native layers | refused |
|---|---|---|---|---|---|---|---|
"""


def document() -> str:
    return HEADER + "".join(map(_row, [*NETS, *REFUSED]))


def num_native(net: nn.Module) -> int:
    return sum(isinstance(part, wider.native.SparseLayer) for part in net.modules())


def refusal(net: nn.Module) -> str:
    """What `sparsify` says, without the remedies."""
    try:
        wider.sparsify(net, num_weights=1000)
    except wider.InputError as error:
        return str(error).partition(":")[0]
    raise AssertionError("it is not refused")


def _row(net: Net) -> str:
    built = net.build()
    reason = ""
    if net.exclude:
        reason = f"{refusal(built)}; `exclude={list(net.exclude)}`"
        wider.sparsity.exclude(built, net.exclude)
    found = wider.summary(built)
    numbers = [found.num_weights, found.total("embedding"), found.total("not known")]
    numbers.append(len(wider.sparsity.matrices(built)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wider.sparsify(built, num_weights=found.num_weights // 4)
    numbers.append(num_native(wider.to_native(built)))
    cells = [net.name, net.source, *(f"{number:,}" for number in numbers), reason]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
