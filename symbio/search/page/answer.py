"""The page of a study, from the answer to how it can be had again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbio.blocks import Block
from symbio.search.page.ablation import ablation_blocks
from symbio.search.page.closing import closing_blocks
from symbio.search.page.search import search_blocks

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result


def answer(result: Result, evidence: Evidence) -> list[Block]:
    """The blocks of the page."""
    of_verb = search_blocks if result.plan.suite is None else ablation_blocks
    return [*of_verb(result, evidence), *closing_blocks(result, evidence.unreadable)]
