"""The drawing is one well-formed file, whatever names hold."""

from __future__ import annotations

from xml.etree import ElementTree

from symbio.lineage.draw import svg_of
from symbio.lineage.history import Decision
from symbio.lineage.tree import Node, Tree, tree_of
from tests.lineage.records import TRAINED, history, record

SVG = "{http://www.w3.org/2000/svg}"


def test_every_node_is_a_box_and_every_source_an_arrow() -> None:
    tree = tree_of(record(), history())
    drawing = ElementTree.fromstring(svg_of(tree))
    boxes = drawing.findall(f".//{SVG}rect[@class='box']")
    arrows = drawing.findall(f".//{SVG}path[@class='made']")
    assert len(boxes) == len(tree.nodes)
    assert len(arrows) == sum(len(node.sources) for node in tree.nodes.values())
    shown = {text.text for text in drawing.iter(f"{SVG}text")}
    assert {node.what for node in tree.nodes.values()} <= shown
    assert f"run {TRAINED.run_id[:12]}" in shown


def test_nothing_that_a_name_holds_gets_out() -> None:
    evil = 'x"><script>alert(1)</script>&\x00\x1b\ud800'
    tree = tree_of(record(), history(decisions=(Decision(evil, evil, (evil,)),)))
    text = svg_of(Tree(evil, tree.nodes))
    drawing = ElementTree.fromstring(text)
    assert drawing.find(f".//{SVG}script") is None
    assert "script>alert" in "".join(drawing.itertext())
    text.encode("utf-8")


def test_a_page_is_linked_and_a_long_text_is_cut() -> None:
    node = Node("training", "", ("word " * 200,), "ab" * 16, "http://host/#/runs/1?a=1&b=2")
    drawing = ElementTree.fromstring(svg_of(Tree("t", {"version": node})))
    (link,) = drawing.findall(f".//{SVG}a")
    assert link.attrib["href"] == "http://host/#/runs/1?a=1&b=2"
    lines = [text.text or "" for text in link.iter(f"{SVG}text")]
    assert lines[-1] == "..."
    assert len(lines) == 8
    assert max(map(len, lines)) <= 34
    title = link.find(f".//{SVG}title")
    assert title is not None
    assert title.text is not None
    assert title.text.count("word") == 200, "whole under the pointer"


def test_the_same_tree_gives_the_same_bytes() -> None:
    assert svg_of(tree_of(record(), history())) == svg_of(tree_of(record(), history()))
