"""A picture as SVG: one file that needs nothing else, in light and dark.

Rule 1  Whatever is not written here is text of an element, escaped, without a character that XML forbids: no name can
        become markup. Nothing in the picture can be clicked, loaded or run.
Rule 2  An outcome is told by colour, by mark and in words.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from stepwave.core.telling.layout.columns import KNOT, PASS, Link
from stepwave.core.telling.layout.layout import KNOT_SIZE, Layout
from stepwave.core.telling.looks import LOOKS, Look
from stepwave.core.telling.picture import BOX_HEIGHT, DETAIL_SIZE, TITLE_SIZE, Box, Picture, Shape
from stepwave.core.telling.style import cells

_MARGIN = 28.0
_TOP = 104.0
"""For title, subtitle and the headings of the waves."""
_NARROWEST = 520.0
_POINT = 7.0
"""How long the tip of a condition's box is."""
_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"
_MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

_light = {"paper": "#fbfbfa", "card": "#ffffff", "ink": "#1d2127", "muted": "#5d6673", "line": "#b9bec6",
          "edge": "#d9dce0", "band": "#f2f2ef", "path": "#4338ca"}  # fmt: skip
_dark = {"paper": "#14161a", "card": "#1d2026", "ink": "#e8eaed", "muted": "#9aa4b1", "line": "#565e6a",
         "edge": "#363c45", "band": "#191c21", "path": "#a5b4fc"}  # fmt: skip

_forbidden = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_escapes = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;"}


def as_svg(picture: Picture, *, dark: bool | None = None) -> str:
    """The whole file. `dark`: whether it is dark; None: as whoever looks at it prefers."""
    return "\n".join(_file(picture, dark)) + "\n"


def size_of_svg(picture: Picture) -> tuple[float, float]:
    """Width and height in pixels."""
    heading = max(cells(picture.title) * 12.0, cells(picture.subtitle) * 7.0, _NARROWEST)
    width = max(picture.layout.width, heading) + 2 * _MARGIN
    return width, picture.layout.height + _TOP + 2 * _MARGIN + (18 if picture.note else 0)


def _file(picture: Picture, dark: bool | None) -> Iterator[str]:
    width, height = size_of_svg(picture)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}"'
        f' height="{_n(height)}" role="img" aria-labelledby="title desc">'
    )
    yield f'<title id="title">{_text(picture.title)}</title>'
    yield f'<desc id="desc">{_text(picture.subtitle)}</desc>'
    yield f"<style>{_style(picture, dark)}</style>"
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
    yield ' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 .8 7.5 4 0 7.2Z" class="tip"/></marker></defs>'
    yield '<rect width="100%" height="100%" class="paper"/>'
    yield f'<text x="{_n(_MARGIN)}" y="44" class="name">{_text(picture.title)}</text>'
    yield f'<text x="{_n(_MARGIN)}" y="66" class="said">{_text(picture.subtitle)}</text>'
    if picture.note:
        yield f'<text x="{_n(_MARGIN)}" y="{_n(height - 16)}" class="said">{_text(picture.note)}</text>'
    yield f'<g transform="translate({_n(_MARGIN)} {_n(_TOP + _MARGIN / 2)})">'
    yield from _bands(picture)
    yield from _lines(picture)
    yield from _boxes(picture)
    yield "</g>"
    yield "</svg>"


# --- the style -------------------------------------------------------------------------------------------------------


def _style(picture: Picture, dark: bool | None) -> str:
    used = [look for key, look in LOOKS.items() if any(box.look.key == key for box in picture.boxes)]
    rules = [
        f"text{{font-family:{_SANS};font-size:{DETAIL_SIZE}px}}",
        ".name{font-size:20px;font-weight:600}.said{font-size:13px}.wave{font-size:11px;letter-spacing:.04em}",
        f".id{{font-family:{_MONO};font-size:{TITLE_SIZE}px;font-weight:500}}",
        ".box{stroke-width:1.1}.critical .box{stroke-width:2.2}.dotted{stroke-dasharray:2 4}",
        ".edge{fill:none;stroke-width:1.25}.heavy{stroke-width:2.2}.mark{fill:none;stroke-width:1.7;stroke-linecap:round;stroke-linejoin:round}",
        _colors(used, dark=bool(dark)),
    ]
    if dark is None:
        rules.append(f"@media (prefers-color-scheme:dark){{{_colors(used, dark=True)}}}")
    return "".join(rules)


def _colors(used: Sequence[Look], *, dark: bool) -> str:
    c = _dark if dark else _light
    looks = "".join(
        f".{look.key} .mark{{stroke:{look.dark if dark else look.light}}}"
        f".{look.key} .disc{{fill:{look.dark if dark else look.light}}}"
        for look in used
    )
    return (
        f"text{{fill:{c['muted']}}}.name,.id{{fill:{c['ink']}}}.paper{{fill:{c['paper']}}}.band{{fill:{c['band']}}}"
        f".box{{fill:{c['card']};stroke:{c['edge']}}}.edge{{stroke:{c['line']}}}.tip,.knot{{fill:{c['line']}}}"
        f".critical .box,.heavy{{stroke:{c['path']}}}.disc{{opacity:.13}}.answer{{fill:{c['paper']}}}{looks}"
    )


# --- what stands behind the steps ------------------------------------------------------------------------------------


def _bands(picture: Picture) -> Iterator[str]:
    height = picture.layout.height + 2 * 14
    for number, (band, heading) in enumerate(zip(picture.layout.bands, picture.bands, strict=True)):
        x, width = band.x - 12, band.width + 24
        if number % 2 == 0:
            yield f'<rect x="{_n(x)}" y="-14" width="{_n(width)}" height="{_n(height)}" rx="10" class="band"/>'
        yield f'<text x="{_n(band.x)}" y="-22" class="wave">{_text(heading)}</text>'


def _lines(picture: Picture) -> Iterator[str]:
    layout = picture.layout
    critical = _critical_links(picture)
    for heavy in (False, True):  # what matters lies on top
        for link in layout.links:
            if (link in critical) is heavy:
                yield from _line(layout, link, heavy)


def _critical_links(picture: Picture) -> set[Link]:
    """The lines from one step of the critical path to the next, where that one needs it."""
    leaving: dict[int, list[Link]] = {}
    for link in picture.layout.links:
        leaving.setdefault(link.source, []).append(link)
    found: set[Link] = set()
    for step, following in pairwise(picture.path):
        found.update(_way(step, following, leaving, picture.layout))
    return found


def _way(start: int, end: int, leaving: dict[int, list[Link]], layout: Layout) -> tuple[Link, ...]:
    """The line between two steps through places and knots; nothing where there is none."""
    waiting: list[tuple[Link, ...]] = [(link,) for link in leaving.get(start, ())]
    seen: set[int] = set()
    while waiting:
        way = waiting.pop()
        place = way[-1].target
        if place == end:
            return way
        if layout.kinds[place] < 0 and place not in seen:
            seen.add(place)
            waiting += [(*way, link) for link in leaving.get(place, ())]
    return ()


def _line(layout: Layout, link: Link, heavy: bool) -> Iterator[str]:
    (x1, y1), (x2, y2) = begin_of(layout, link.source), end_of(layout, link.target)
    middle = (x1 + x2) / 2
    path = f"M{_n(x1)} {_n(y1)}"
    path += f"H{_n(x2)}" if abs(y1 - y2) < 0.5 else f"C{_n(middle)} {_n(y1)} {_n(middle)} {_n(y2)} {_n(x2)} {_n(y2)}"
    if layout.kinds[link.target] == PASS:
        column = layout.columns[layout.column_of[link.target]]
        path += f"H{_n(column.x + column.width)}"
    classes = "edge" + " heavy" * heavy + " dotted" * link.became
    tip = ' marker-end="url(#tip)"' if layout.kinds[link.target] >= 0 else ""
    yield f'<path d="{path}" class="{classes}"{tip}/>'
    if link.answer:
        x, y = x2 - 24, y2 - 7
        yield f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="middle">{_text(link.answer)}</text>'


def begin_of(layout: Layout, place: int) -> tuple[float, float]:
    """Where the lines that leave a place begin."""
    column = layout.columns[layout.column_of[place]]
    width = KNOT_SIZE if layout.kinds[place] == KNOT else column.width
    return column.x + width, layout.y[place]


def end_of(layout: Layout, place: int) -> tuple[float, float]:
    """Where those that reach it end."""
    return layout.columns[layout.column_of[place]].x, layout.y[place]


# --- the steps -------------------------------------------------------------------------------------------------------


def _boxes(picture: Picture) -> Iterator[str]:
    layout = picture.layout
    for place, kind in enumerate(layout.kinds):
        column = layout.columns[layout.column_of[place]]
        if kind == KNOT:
            yield f'<circle cx="{_n(column.x + KNOT_SIZE / 2)}" cy="{_n(layout.y[place])}" r="3.2" class="knot"/>'
        elif kind != PASS:
            yield from _box(picture.boxes[kind], column.x, layout.y[place] - BOX_HEIGHT / 2, column.width)


def _box(box: Box, x: float, y: float, width: float) -> Iterator[str]:
    critical = " critical" if box.critical else ""
    yield f'<g class="{box.look.key}{critical}" transform="translate({_n(x)} {_n(y)})"><title>{_text(box.tip)}</title>'
    if box.shape is Shape.FAN_OUT:
        yield f'<rect x="4" y="4" width="{_n(width - 4)}" height="{_n(BOX_HEIGHT)}" rx="8" class="box"/>'
    yield _outline(box.shape, width)
    indent = 6 if box.shape is Shape.CONDITION else 0
    yield f'<circle cx="{20 + indent}" cy="{_n(BOX_HEIGHT / 2)}" r="11" class="disc"/>'
    yield f'<path d="{box.look.mark}" transform="translate({12 + indent} {_n(BOX_HEIGHT / 2 - 8)})" class="mark"/>'
    y = 19.0 if box.detail else BOX_HEIGHT / 2 + 4.5
    yield f'<text x="{38 + indent}" y="{_n(y)}" class="id">{_text(box.title)}</text>'
    if box.detail:
        yield f'<text x="{38 + indent}" y="34">{_text(box.detail)}</text>'
    yield "</g>"


def _outline(shape: Shape, width: float) -> str:
    if shape is Shape.CONDITION:
        h, w = BOX_HEIGHT, width
        points = ((0, h / 2), (_POINT, 0), (w - _POINT, 0), (w, h / 2), (w - _POINT, h), (_POINT, h))
        return f'<polygon points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in points)}" class="box"/>'
    inner = width - 4 if shape is Shape.FAN_OUT else width
    return f'<rect width="{_n(inner)}" height="{_n(BOX_HEIGHT)}" rx="8" class="box"/>'


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return _forbidden.sub("\ufffd", text).translate(_escapes)
