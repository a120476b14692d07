"""What identifies the content of a dataset."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def digest_of(about: Any, tensors: Sequence[Tensor]) -> str:
    """The SHA-256 of everything that a net can see of a dataset.

    Args:
        about: what is not in tensors, such as the names of classes; as JSON has it.
        tensors: in an order that is always the same.

    Returns:
        64 hexadecimal digits; the same on every machine for the same content.
    """
    layout = [[str(tensor.dtype), list(tensor.shape)] for tensor in tensors]
    digest = hashlib.sha256(json.dumps([about, layout]).encode())
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
