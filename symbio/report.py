"""One self-contained HTML page: tables and pictures inline, every text escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import encode_png
from symbio.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem;
       color: #1c1c1c; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .8rem 0; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
td:first-child, th:first-child, .words { text-align: left; }
pre { background: #f4f4f4; padding: .7rem 1rem; overflow-x: auto; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { color: #555; }
"""


class Report:
    """Collects sections in order; `write` makes the page."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """A section heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def points(self, texts: Sequence[str]) -> None:
        """A list."""
        items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
        self._parts.append(f"<ul>{items}</ul>")

    def listing(self, text: str) -> None:
        """Lines as they are typed."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(
        self, rows: Sequence[Sequence[Any]], headers: Sequence[str], words: Collection[str] = ()
    ) -> None:
        """A table; floats are shown with four significant digits.

        Args:
            rows: the cells.
            headers: of the columns.
            words: headers of columns that are set to the left, as the first always is.
        """
        classes = [' class="words"' if header in words else "" for header in headers]
        lines = [
            "".join(
                f"<{kind}{style}>{html.escape(_cell(cell))}</{kind}>"
                for cell, style in zip(row, classes, strict=True)
            )
            for kind, row in [("th", headers), *(("td", row) for row in rows)]
        ]
        head, body = lines[0], "".join(f"<tr>{line}</tr>" for line in lines[1:])
        self._parts.append(f"<table><tr>{head}</tr>{body}</table>")

    def picture(self, picture: NDArray[np.uint8], caption: str) -> None:
        """A picture, uint8 (H, W, 3) RGB or (H, W)."""
        self._image(encode_png(picture), caption)

    def figure(self, figure: Figure, caption: str) -> None:
        """A matplotlib figure."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        self._image(buffer.getvalue(), caption)

    def drawing(self, svg: str, caption: str) -> None:
        """An SVG element, whose own text is escaped."""
        text = html.escape(caption)
        self._parts.append(f"<figure>{svg}<figcaption>{text}</figcaption></figure>")

    def element(self, markup: str) -> None:
        """An element of any kind, whose own text is escaped."""
        self._parts.append(markup)

    def write(self, path: Path) -> None:
        """Write the page, whole."""
        with whole_file(path) as aside:
            aside.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """The page as text."""
        title = html.escape(self.title)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )

    def _image(self, png: bytes, caption: str) -> None:
        data = base64.b64encode(png).decode("ascii")
        text = html.escape(caption)
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
            f"<figcaption>{text}</figcaption></figure>"
        )


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
