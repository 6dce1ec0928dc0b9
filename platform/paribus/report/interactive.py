"""Pictures that answer the mouse: each one's chart beside it, and Vega once for the page, which asks for nothing."""

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from markupsafe import Markup

from paribus.report.figures import Svg

LOADER = Path(__file__).parent / "templates" / "interactive.js"


def alive(svg: Svg) -> Markup:
    """A still picture, with the chart that may take its place."""
    text = json.dumps(_telling(svg.chart), ensure_ascii=False).replace("<", "\\u003c")
    return Markup(f'{svg}<script type="application/json" class="chart">{text}</script>')


@cache
def script() -> Markup:
    """Vega, Vega-Lite and what puts charts in the places of still pictures."""
    found: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the stub asks for what may be left out
    return Markup(found.replace("</script", "<\\/script") + LOADER.read_text(encoding="utf-8"))


def _telling(chart: Mapping[str, Any]) -> dict[str, Any]:
    """The chart with words for each mark; a line has them at its points."""
    found = deepcopy(dict(chart))
    found["config"] = {**found.get("config", {}), "mark": {"tooltip": True}, "line": {"tooltip": None}}
    for part in (found, *found.get("vconcat", ())):
        if "layer" in part:
            part["layer"] += [_points(layer) for layer in part["layer"] if _is_line(layer)]
    return found


def _is_line(layer: Mapping[str, Any]) -> bool:
    """Whether a layer is of lines whose points are few: means, not seeds."""
    mark = layer.get("mark")
    return isinstance(mark, dict) and mark.get("type") == "line" and "detail" not in layer["encoding"]


def _points(layer: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in layer["encoding"].items() if key != "strokeDash"}
    mark = {"type": "point", "filled": True, "opacity": 0, "size": 90, "tooltip": True}
    return {**layer, "mark": mark, "encoding": shown}
