"""What a page is made of: the same blocks become Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, plain."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of short statements."""

    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Listing:
    """Commands or a file, as they are typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of words stand left, columns of numbers right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[str] = frozenset()
    """Headers, besides the first, of columns of words."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart; Markdown has its caption alone."""

    svg: str
    caption: str


Block = Heading | Text | Points | Listing | Table | Drawing
