"""The attention of one text as a page of labelled pictures: no network, no script.

Axes: H heads, Q queries, K keys.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from paribus.report import figures
from paribus.report.html import TEMPLATES, environment
from paribus.store.kept import Array

CELL = 16  # pixels


@dataclass(frozen=True)
class Tile:
    title: str
    address: str
    words: str
    queries: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Strongest:
    """Where a token looks most, at one place: by the mean over heads, and by the head that looks hardest."""

    token: str
    key: str
    weight: float
    sharpest_key: str
    sharpest: float
    head: int


def page(
    title: str, source: str, target: str, encoder: Sequence[str], decoder: Sequence[str], weights: Mapping[str, Array]
) -> str:
    """The page, cross-attention first."""
    groups = [(name, list(_tiles(path, encoder, decoder, weights[path]))) for path, name in named(weights)]
    return (
        environment()
        .get_template("attend.html.j2")
        .render(
            title=title,
            source=source,
            target=target,
            groups=groups,
            cell=CELL,
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        )
    )


def named(weights: Mapping[str, Array]) -> Iterator[tuple[str, str]]:
    """Path and name of every attention, cross-attention first, the last layers before the first ones."""
    order = {"cross": 0, "encoder": 1, "decoder": 2}
    found = []
    for path in weights:
        side, layer, name = path.split(".")[:3]
        place = "cross" if name == "cross" else side
        told = "cross-attention" if place == "cross" else f"{side} self-attention"
        found.append((order.get(place, 3), -int(layer), path, f"{told}, layer {layer}"))
    for _, _, path, told in sorted(found):
        yield path, told


def sides(path: str, encoder: Sequence[str], decoder: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens that ask and those that are looked at."""
    queries = encoder if path.startswith("encoder") else decoder
    keys = encoder if path.startswith("encoder") or path.endswith(".cross") else decoder
    return tuple(queries), tuple(keys)


def strongest(path: str, encoder: Sequence[str], decoder: Sequence[str], weights_HQK: Array) -> list[Strongest]:
    """Each token of one attention with what it looks at most."""
    queries, keys = sides(path, encoder, decoder)
    mean_QK = weights_HQK.astype(float).mean(0)
    found = []
    for row, token in enumerate(queries):
        head, sharpest = np.unravel_index(int(weights_HQK[:, row].argmax()), weights_HQK[:, row].shape)
        most = int(mean_QK[row].argmax())
        hard = float(weights_HQK[head, row, sharpest])
        found.append(Strongest(token, keys[most], float(mean_QK[row, most]), keys[int(sharpest)], hard, int(head)))
    return found


def _tiles(path: str, encoder: Sequence[str], decoder: Sequence[str], weights_HQK: Array) -> Iterator[Tile]:
    queries, keys = sides(path, encoder, decoder)
    pictures = [("mean over heads", weights_HQK.astype(float).mean(0))]
    pictures += [(f"head {head}", tile) for head, tile in enumerate(weights_HQK)]
    for title, tile_QK in pictures:
        data = base64.b64encode(figures.tile(tile_QK)).decode()
        most = [f"{token} to {keys[int(row.argmax())]}" for token, row in zip(queries, tile_QK, strict=True)]
        words = f"{title}: each token looks most at: {', '.join(most)}"
        yield Tile(title, f"data:image/png;base64,{data}", words, queries, keys)
