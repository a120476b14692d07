"""What fields of a run may be: whole numbers within bounds, and words to choose from."""

from typing import Annotated, Literal

from pydantic import Field

Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""Any whole number of 64 bits, as tables and files hold them."""

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Of images or epochs."""

CountOrNone = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""The same, or 0."""

Side = Annotated[int, Field(ge=1, le=10_000)]
"""Height and width of an image, in pixels."""

Width = Annotated[int, Field(ge=1, le=10_000_000)]
"""Of a net; the bytes of a ten times wider ResNet-18 are too many for 64 bits."""

Normalisation = Literal["channel", "pixel", "unit"]
"""How pixels are scaled: by a mean and deviation of each channel, or of each pixel, or to 0..1."""

Precision = Literal["float32", "bfloat16"]
"""Of products; weights, gradients and statistics are always in float32."""
