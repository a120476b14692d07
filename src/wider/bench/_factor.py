"""How many times as much one contestant takes as another, as text."""


def as_factor(ratio: float) -> str:
    """Two digits, such as "5.2x", "0.80x" or "12x", or all of a larger number.

    Args:
        ratio: of two times or sizes.
    """
    if float(f"{ratio:.2g}") >= 10:
        return f"{float(f'{ratio:.2g}') if ratio < 100 else ratio:,.0f}x"
    return f"{ratio:#.2g}x"
