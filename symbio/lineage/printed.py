"""A lineage in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from symbio.lineage.tree import VERSION, Node, Tree, short

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree as Shown

_PLAIN_WIDTH = 200
"""Characters of a line that goes to a file."""


def print_tree(tree: Tree) -> None:
    """Print what the version was made of below it, and so on; then what happened to it since."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    seen: set[str] = set()
    console.print(_below(tree, VERSION, seen))
    for key in tree.since():
        console.print(_told(tree.nodes[key]))


def _below(tree: Tree, key: str, seen: set[str]) -> Shown:
    """A node with its sources below; one that was shown already is only named."""
    from rich.tree import Tree as Shown

    node = tree.nodes[key]
    if key in seen:
        return Shown(_told(Node(node.what, node.identity, ("see above",))))
    seen.add(key)
    shown = Shown(_told(node))
    for source in node.sources:
        shown.children.append(_below(tree, source, seen))
    return shown


def _told(node: Node) -> Text:
    from rich.text import Text

    text = Text(node.what, style="bold")
    if node.identity:
        text.append(f" {short(node.identity)}", style="not bold cyan")
    details = list(node.details)
    if node.run_id is not None:
        details.append(node.address or f"run {node.run_id}")
    if details:
        text.append(f"  {' · '.join(details)}", style="not bold")
    return text
