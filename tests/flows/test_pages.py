"""Pages say what they are given, and no more."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from flows.pages import Curve, curves, facts, page, picture, section, table, video


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = frozenset({"meta", "img", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_names_cannot_become_markup() -> None:
    wild = '<b>"x"</b>'
    whole = page(
        wild,
        wild,
        [
            section(wild, video("a b.mp4", wild), picture(b"x", wild), facts({wild: wild})),
            section("t", table([wild, "n"], [[wild, 0.12345]]), curves([Curve(wild, [0, 1], 25)], "mm")),
        ],
    )
    parser = Balanced()
    parser.feed(whole)
    assert parser.open == []
    assert "<b>" not in whole
    assert "0.123" in whole
    assert not re.search(r"https?://", whole), "nothing is fetched"


def test_a_gap_parts_a_curve() -> None:
    shown = curves([Curve("lips", [0.0, 1.0, None, 2.0, 3.0], 25)], "mm")
    assert shown.count('<path d="M') == 2


def test_curves_share_a_scale_and_areas_do_not() -> None:
    shown = curves(
        [Curve("sound", [0.0, 500.0], 25, filled=True), Curve("a", [0.0, 1.0], 25), Curve("b", [2.0], 25)],
        "mm",
    )
    assert ">2</span>" in shown


def test_a_scale_ends_in_round_numbers() -> None:
    found = re.search(
        r'class="scale"><span>(.*?)</span><span>(.*?)<', curves([Curve("a", [0.00182, 0.3214], 25)], "mm")
    )
    assert found is not None
    assert found.groups() == ("0.33", "0")
    found = re.search(
        r'class="scale"><span>(.*?)</span><span>(.*?)<', curves([Curve("a", [-1.23, 7.9], 25)], "mm")
    )
    assert found is not None
    assert found.groups() == ("7.9", "-1.3")
    assert 'class="scale"><span>1</span>' in curves([Curve("nothing", [None], 25)], "mm")


def test_an_area_has_a_scale_of_its_own() -> None:
    shown = curves([Curve("sound", [0.0, 500.0], 25, filled=True), Curve("a", [0.0, 1.0], 25)], "mm")
    assert "500" not in re.sub(r"[ML][^L]*", "", shown)
