"""Charts that are put together out of marks, as plain data."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import altair as alt
import pandas as pd

Spec = dict[str, Any]


@dataclass(frozen=True, repr=False, eq=False)
class Drawing:
    """A chart in Vega-Lite's own terms.

    Altair makes the marks, but is slow to put them together: at every step it copies all of their
    parts, with the hundreds of fields that nobody has set.

    Attributes:
        spec: as Vega-Lite has it, but that tables are still tables.
    """

    spec: Spec

    def __repr__(self) -> str:
        return "Drawing(...)"

    def properties(self, **properties: Any) -> "Drawing":
        """The same with other properties of Vega-Lite's, such as `title` or `width`."""
        return Drawing(self.spec | {name: _plain(each) for name, each in properties.items()})

    def to_dict(self) -> Spec:
        """As Vega-Lite reads it, with each table once, in "datasets"."""
        datasets: dict[str, Any] = {}
        names: dict[int, str] = {}

        def read(part: Any) -> Any:
            if isinstance(part, dict):
                return {name: read(each) for name, each in part.items()}
            if isinstance(part, list | tuple):
                return [read(each) for each in part]
            if not isinstance(part, pd.DataFrame):
                return part
            if id(part) not in names:
                names[id(part)] = f"table_{len(names)}"
                datasets[names[id(part)]] = _rows(part)
            return {"name": names[id(part)]}

        return {"$schema": alt.SCHEMA_URL, **read(self.spec), "datasets": datasets}

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_altair(self) -> alt.TopLevelMixin:
        """The same as Altair has it.

        Raises:
            jsonschema.ValidationError: it is none of Vega-Lite's.
        """
        return alt.Chart.from_dict(self.to_dict())

    def save(self, file: Path | str | IO[Any], **options: Any) -> None:
        """Writes it to a file, whose ending or `format` says as what; options are Altair's."""
        self.to_altair().save(file, **options)

    def _repr_mimebundle_(self, *args: Any, **options: Any) -> Any:
        return self.to_altair()._repr_mimebundle_(*args, **options)


def single_mark(mark: alt.Chart) -> Drawing:
    """A single mark as it is."""
    table, bare = mark.data, mark.copy(deep=False)
    bare.data = alt.Undefined
    context = {"data": table, "top_level": False}
    # Tests check charts against Vega-Lite's schema; to do so each time takes longer than drawing.
    return Drawing({"data": table, **bare.to_dict(validate=False, context=context)})


def layered(*marks: alt.Chart) -> Drawing:
    """Marks over each other, from the lowest."""
    layers, table = [single_mark(mark).spec for mark in marks], marks[0].data
    if any(layer["data"] is not table for layer in layers):
        return Drawing({"layer": layers})
    for layer in layers:
        del layer["data"]
    return Drawing({"data": table, "layer": layers})


def together(
    kind: Literal["concat", "hconcat", "vconcat"],
    drawings: Iterable[Drawing],
    *,
    independent: Iterable[str] = (),
    **layout: Any,
) -> Drawing:
    """Drawings beside each other.

    Args:
        kind: Vega-Lite's name of it: "hconcat" side by side, "vconcat" below each other, and
            "concat" in rows of so many `columns`.
        drawings: from the first.
        independent: channels, such as "color", of which each drawing has its own scale.
        layout: further properties of Vega-Lite's, such as `spacing`.
    """
    parts = Drawing({kind: [drawing.spec for drawing in drawings], **layout})
    return _with_own_scales(parts, independent)


def faceted(panel: Drawing, *, independent: Iterable[str] = (), **layout: Any) -> Drawing:
    """The same panel for each value of a column.

    Args:
        panel: whose marks all show the same table.
        independent: as for `together`.
        layout: properties of Vega-Lite's, `facet` among them.
    """
    spec = panel.spec.copy()
    facets = Drawing({"data": spec.pop("data"), "spec": spec}).properties(**layout)
    return _with_own_scales(facets, independent)


def _with_own_scales(drawing: Drawing, channels: Iterable[str]) -> Drawing:
    scale = dict.fromkeys(channels, "independent")
    return drawing.properties(resolve={"scale": scale}) if scale else drawing


def _plain(value: Any) -> Any:
    return value.to_dict(validate=False) if isinstance(value, alt.SchemaBase) else value


def _rows(table: pd.DataFrame) -> Any:
    # In one go, and with null for NaN, which JSON does not know.
    return json.loads(table.to_json(orient="records", double_precision=15))
