"""Whole numbers that describe a run, bounded where no machine holds what they ask for."""

from typing import Annotated

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
