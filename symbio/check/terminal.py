"""A finished check in the terminal: what was read, what was found, the verdict."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from symbio.check.checked import Checked
from symbio.check.finding import NOTES, WRONG, by_kind
from symbio.check.verdict import verdict_of

_WIDTH = 120
_FIRST = 3


def tell(checked: Checked) -> None:
    """Print the check on standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    console.print(_splits(checked))
    if checked.findings:
        console.print(_findings(checked))
    colour = "green" if checked.fine else "bold red"
    console.print(f"[{colour}]{escape(verdict_of(checked))}[/]")


def _splits(checked: Checked) -> Table:
    title = f"symbio check {checked.dataset}: {checked.raw} (layout {checked.layout})"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("split")
    for heading in ("frames read", "with labels", "measured", "depth, m", "median, m"):
        table.add_column(heading, justify="right")
    table.add_column("height x width (frames)", overflow="fold")
    for name, split in checked.splits.items():
        depth = split["depth"]
        measured = "min_m" in depth
        table.add_row(
            name,
            str(split["frames"]),
            str(split["frames_with_truth"]),
            f"{100 * depth['valid_share']:.1f} %",
            f"{depth['min_m']:.3g} – {depth['max_m']:.4g}" if measured else "–",
            f"{depth['quantiles_m']['0.5']:.3g}" if measured else "–",
            ", ".join(f"{size} ({count})" for size, count in split["sizes"].items()) or "–",
        )
    return table


def _findings(checked: Checked) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="found", title_justify="left")
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("first of them, and what to do", overflow="fold")
    for kind, group in by_kind(checked.findings).items():
        wrong = group[0].wrong
        lines = [f"{one.file}: {one.what}" for one in group[:_FIRST]]
        if len(group) > _FIRST:
            lines.append(f"and {len(group) - _FIRST} more")
        lines.append(f"→ {(WRONG if wrong else NOTES)[kind]}")
        name = f"[bold red]{kind}[/]" if wrong else f"[yellow]{kind}[/]"
        table.add_row(name, str(len(group)), escape("\n".join(lines)))
        table.add_section()
    return table
