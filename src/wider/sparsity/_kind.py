"""The class of a module, whatever was put before it."""

from torch import nn
from torch.nn.utils import parametrize


def kind_of(module: nn.Module) -> type[nn.Module]:
    """The class that a module was made as, before masks and FSDP's `fully_shard` derived another.

    Args:
        module: any module.
    """
    kind = type(module)
    if kind.__bases__[0].__name__ == "FSDPModule":  # by name, as its import takes a second
        kind = kind.__bases__[1]
    return kind.__bases__[0] if parametrize.is_parametrized(module) else kind
