"""Charts as a reader of the page can touch them, and the code that draws them there."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from wider.charts import BLACK, BLUE, GREEN, GREY, ORANGE, PALE_BLUE, PAPER, PURPLE
from wider.data import cache_folder
from wider.drawing import Drawing, Spec
from wider.files import write_whole

SEVERAL_VIEWS = ("hconcat", "vconcat", "concat")
FADED = 0.08  # opacity of lines that the reader has switched off
# With Shift alone, so that the wheel and a finger still scroll the page.
DRAG = "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!"
# Colours that the page's style has again, for light and for dark.
INKS = {
    BLACK: "--text",
    GREY: "--grey",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PURPLE: "--purple",
    PALE_BLUE: "--pale-blue",
    PAPER: "--page",
}
WHEEL = "wheel![event.shiftKey]"


def shows_something(chart: Drawing) -> bool:
    """Whether there is a panel to draw; a picture of too few runs may have none."""
    return any(True for _ in _views(chart.spec))


def interactive_spec(chart: Drawing) -> Spec:
    """A chart whose legend entries can be picked by clicking, and that Shift and the wheel zoom.

    Only what is named in a legend of colours is touched; other charts stay as they are.

    Args:
        chart: as an experiment draws it, of any composition.
    """
    spec = chart.to_dict()
    for number, view in enumerate(_views(spec)):
        _make_interactive(view, f"view_{number}", can_zoom="facet" not in spec)
    return spec


def javascript() -> str:
    """Vega, Vega-Lite and what embeds them in a page, as one piece of JavaScript.

    It takes a second or two to put together, so it is kept in the cache folder. Kept code that is
    torn or was edited is not used, and without write access all works the same, only slower.
    """
    path = cache_folder() / f"vega-{version('vl-convert-python')}.js"
    kept = _kept(path)
    if kept is not None:
        return kept
    import vl_convert  # noqa: PLC0415 - 30 MB that not even every page needs

    made = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    with suppress(OSError):
        write_whole(path, f"{_digest(made)}\n{made}".encode())
    return made


def _make_interactive(view: Spec, name: str, *, can_zoom: bool) -> None:
    marks = [(mark, encoding) for mark, encoding in _marks(view, {}) if _legend_field(encoding)]
    if not marks:
        return
    fields = list(dict.fromkeys(_legend_field(encoding) for _, encoding in marks))
    params: list[Spec] = [
        {
            "name": _selection(field),
            "select": {"type": "point", "fields": [field]},
            "bind": "legend",
        }
        for field in fields
    ]
    if can_zoom and _shares_numeric_axes(view, [encoding for _, encoding in marks]):
        select = {"type": "interval", "translate": DRAG, "zoom": WHEEL, "on": DRAG}
        params.append({"name": f"zoom_{name}", "select": select, "bind": "scales"})
    for mark, encoding in marks:
        kind = {"type": mark["mark"]} if isinstance(mark["mark"], str) else mark["mark"]
        if "opacity" not in encoding:
            picked = {"param": _selection(_legend_field(encoding))}
            opacity = {"condition": picked | {"value": kind.get("opacity", 1)}, "value": FADED}
            mark.setdefault("encoding", {})["opacity"] = opacity
        if len(params) > len(fields):
            mark["mark"] = kind | {"clip": True}  # or it would be drawn outside when zoomed
        for channel in ("shape", "strokeDash"):
            own = mark.get("encoding", {}).get(channel, {})
            if own.get("field") == _legend_field(encoding) and own.get("legend", {}) is None:
                del own["legend"]  # one with that of the colour; Vega-Lite warns of none
    # A selection belongs to one mark; the others of its view may refer to it. Zooming needs one
    # that has both axes.
    carrier = next((mark for mark, encoding in marks if _has_both_axes(encoding)), marks[0][0])
    carrier.setdefault("params", []).extend(params)


def _views(spec: Spec) -> Iterator[Spec]:
    """The parts that have axes of their own."""
    parts = [part for kind in SEVERAL_VIEWS for part in spec.get(kind, [])]
    if "spec" in spec:
        parts.append(spec["spec"])
    for part in parts:
        yield from _views(part)
    if not parts and not any(kind in spec for kind in SEVERAL_VIEWS):
        yield spec


def _marks(spec: Spec, inherited: Spec) -> Iterator[tuple[Spec, Spec]]:
    """Every part that is a mark, with its encoding and what it inherits of those around it."""
    encoding = inherited | spec.get("encoding", {})
    if "mark" in spec:
        yield spec, encoding
    for kind in (*SEVERAL_VIEWS, "layer"):
        for part in spec.get(kind, []):
            yield from _marks(part, encoding)
    if "spec" in spec:
        yield from _marks(spec["spec"], encoding)


def _legend_field(encoding: Spec) -> str | None:
    colour = encoding.get("color", {})
    is_named = colour.get("type") == "nominal" and colour.get("legend", {}) is not None
    return colour.get("field") if is_named else None


def _selection(field: str | None) -> str:
    """The same in every view, so that a legend switches all of them; must be an identifier."""
    return f"shown_{re.sub(r'[^0-9A-Za-z]', '_', str(field))}"


def _has_both_axes(encoding: Spec) -> bool:
    return all("field" in encoding.get(channel, {}) for channel in ("x", "y"))


def _shares_numeric_axes(view: Spec, encodings: list[Spec]) -> bool:
    if view.get("resolve"):
        return False
    return all(
        encoding.get(channel, {}).get("type") == "quantitative"
        for encoding in encodings
        for channel in ("x", "y")
        if channel in encoding
    )


def _kept(path: Path) -> str | None:
    try:
        digest, _, code = path.read_bytes().decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return code if digest == _digest(code) else None


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
