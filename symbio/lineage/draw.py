"""A lineage as a drawing: boxes from left to right, what was made of what by arrows (SVG)."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from symbio.lineage.layout import Spacing, laid_out
from symbio.lineage.tree import VERSION, Node, Tree, short

_SPACING = Spacing(width=226.0, across=46.0, down=16.0, line=10.0)
_MARGIN, _TOP = 16.0, 46.0
_PAD, _LINE, _TITLE_LINE = 10.0, 15.0, 18.0
_CHARACTERS = 34
"""Of a line in a box: those of a common sans-serif at 11 px are narrower than 6 px on average."""
_LINES = 7
_STYLE = (
    "text { font: 11px system-ui, 'DejaVu Sans', sans-serif; fill: #444; }"
    " .what { font-weight: 600; font-size: 12px; fill: #1c1c1c; }"
    " .hash { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; fill: #0072b2; }"
    " .title { font-weight: 600; font-size: 16px; fill: #1c1c1c; }"
    " .box { fill: #fff; stroke: #b8b8b8; } .version .box { stroke: #d55e00; stroke-width: 2; }"
    " .made { fill: none; stroke: #8a8a8a; stroke-width: 1.3; }"
)


def svg_of(tree: Tree) -> str:
    """The drawing as a whole SVG file that needs no other; all text is escaped."""
    texts = {key: list(_lines(node)) for key, node in tree.nodes.items()}
    heights = {
        key: 2 * _PAD + _TITLE_LINE + _LINE * (len(lines) - 1) for key, lines in texts.items()
    }
    layout = laid_out({key: node.sources for key, node in tree.nodes.items()}, heights, _SPACING)
    width, height = layout.width + 2 * _MARGIN, layout.height + _TOP + _MARGIN
    title = _escaped(f"Lineage of {tree.title}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 8,4 0,8z" fill="#8a8a8a"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fafafa"/>',
        f'<text class="title" x="{_MARGIN:g}" y="28">{title}</text>',
        f'<g transform="translate({_MARGIN:g} {_TOP:g})">',
        *(_path(points) for points in layout.lines),
        *(
            _box(key, node, texts[key], *layout.corners[key], heights[key])
            for key, node in tree.nodes.items()
        ),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(node: Node) -> Iterator[tuple[str, str]]:
    """Class and text of each line in a box."""
    yield "what", node.what
    if node.identity:
        yield "hash", short(node.identity)
    words = [line for detail in node.details for line in _wrapped(detail)]
    if node.run_id is not None:
        words.append(f"run {short(node.run_id)}")
    if len(words) > _LINES:
        words = [*words[: _LINES - 1], "..."]
    for line in words:
        yield "", line


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _CHARACTERS) or [""]


def _path(points: tuple[tuple[float, float], ...]) -> str:
    """A curve between columns, a straight line across one."""
    parts = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        middle = (x + to_x) / 2
        curve = f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
        parts.append(f"H{to_x:.1f}" if number % 2 else curve)
    return f'<path class="made" d="{" ".join(parts)}" marker-end="url(#arrow)"/>'


def _box(
    key: str, node: Node, lines: list[tuple[str, str]], x: float, y: float, height: float
) -> str:
    kind = ' class="version"' if key == VERSION else ""
    whole = "\n".join(filter(None, (node.what, node.identity, *node.details, node.run_id)))
    parts = [
        f"<g{kind}><title>{_escaped(whole)}</title>"
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{_SPACING.width:g}" '
        f'height="{height:g}" rx="5"/>'
    ]
    baseline = y + _PAD + 11
    for name, text in lines:
        style = f' class="{name}"' if name else ""
        parts.append(f'<text{style} x="{x + _PAD:.1f}" y="{baseline:.1f}">{_escaped(text)}</text>')
        baseline += _TITLE_LINE if name == "what" else _LINE
    box = "".join(parts) + "</g>"
    return box if node.address is None else f'<a href="{_escaped(node.address)}">{box}</a>'


def _escaped(text: str) -> str:
    """Text for XML, which knows no control characters, not even escaped."""
    allowed = "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)
    return html.escape(allowed)
