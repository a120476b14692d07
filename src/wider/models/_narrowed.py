"""The widths of narrowed layers, as a user gives them."""

from collections.abc import Sequence

from wider.errors import InputError


def checked_narrowed(
    narrowed: Sequence[int] | None, usual: tuple[int, ...], net: str
) -> tuple[int, ...]:
    """The widths of a net's narrowed layers, one for each.

    Args:
        narrowed: as the user gave them; None for the usual ones.
        usual: the widths where nothing is narrowed.
        net: what it is, for messages.

    Raises:
        InputError: not as many as the net has narrowed layers, or one is below 1.
    """
    if narrowed is None:
        return usual
    if len(narrowed) != len(usual):
        raise InputError(
            f"narrowed has {len(narrowed)} widths; this {net} has {len(usual)} layers that can be "
            "narrowed, and each needs one"
        )
    if any(width < 1 for width in narrowed):
        raise InputError(f"narrowed is {tuple(narrowed)}; every width must be at least 1")
    return tuple(narrowed)
