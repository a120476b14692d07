import json

import altair as alt
import jsonschema
import pandas as pd
import pytest

from wider.drawing import Drawing, faceted, layered, single_mark, together

ROWS = pd.DataFrame({"x": [1.0, float("nan")], "net": ["a", "b"]})
OTHERS = pd.DataFrame({"x": [3]})
X = {"field": "x", "type": "quantitative"}


def points(table: pd.DataFrame) -> alt.Chart:
    return alt.Chart(table).mark_point(size=9).encode(x="x:Q")


def test_a_mark_is_what_altair_makes_of_it():
    chart = single_mark(points(ROWS)).properties(width=5).to_dict()
    altair = points(ROWS).properties(width=5).to_dict()
    assert chart["mark"] == altair["mark"] == {"type": "point", "size": 9}
    assert chart["encoding"] == altair["encoding"] == {"x": X}
    assert chart["width"] == 5
    assert chart["$schema"] == altair["$schema"]
    (rows,) = chart["datasets"].values()
    assert rows == [{"x": 1.0, "net": "a"}, {"x": None, "net": "b"}]


def test_a_table_is_written_once():
    same, others = layered(points(ROWS), points(ROWS)), layered(points(ROWS), points(OTHERS))
    chart = together("hconcat", [same, others]).to_dict()
    first, second = chart["hconcat"]
    name = first["data"]["name"]
    assert all("data" not in layer for layer in first["layer"])
    assert second["layer"][0]["data"] == {"name": name}
    assert [len(rows) for rows in chart["datasets"].values()] == [2, 1]
    assert chart["datasets"][second["layer"][1]["data"]["name"]] == [{"x": 3}]


def test_drawings_stand_together_with_scales_of_their_own():
    panel = single_mark(points(ROWS))
    chart = together("concat", [panel, panel], independent=["x", "color"], columns=1).to_dict()
    assert len(chart["concat"]) == 2
    assert chart["columns"] == 1
    assert chart["resolve"] == {"scale": {"x": "independent", "color": "independent"}}
    assert "resolve" not in together("vconcat", [panel]).to_dict()


def test_a_panel_for_each_value_has_its_part_of_the_table():
    facet = alt.Facet("net:N", title=None)
    panel = layered(points(ROWS), points(ROWS))
    chart = faceted(panel, facet=facet, columns=2, independent=["y"]).to_dict()
    assert chart["facet"] == {"field": "net", "type": "nominal", "title": None}
    assert set(chart["spec"]) == {"layer"}  # data there would be all of it in every panel
    assert len(chart["datasets"][chart["data"]["name"]]) == 2
    assert "data" in panel.spec


def test_properties_of_altair_are_written_out_and_the_drawing_stays_as_it_was():
    plain = single_mark(points(ROWS))
    titled = plain.properties(title=alt.TitleParams("words", anchor="start"))
    assert titled.to_dict()["title"] == {"text": "words", "anchor": "start"}
    assert "title" not in plain.spec
    assert json.loads(titled.to_json()) == titled.to_dict()


def test_what_is_not_in_vega_lite_is_told_when_altair_reads_it():
    drawing = single_mark(points(ROWS))
    assert drawing.to_altair().to_dict()["encoding"] == {"x": X}
    with pytest.raises(jsonschema.ValidationError):
        Drawing(drawing.spec | {"mark": "no such mark"}).to_altair()
