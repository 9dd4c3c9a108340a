"""The page as text: its words, escaping, before and after. tests/browser looks at it drawn."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

from howdah.check.diagnosis import Diagnosis
from howdah.check.model import Kind
from howdah.report import html
from howdah.report.compare import Fate, changes
from howdah.report.contract import contract
from tests.golden import samples
from tests.golden.compare import same_as_golden

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Reader(HTMLParser):
    """The page's visible words, one line per element, and its elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.lines: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not {"style", "script", "svg"} & set(self.open):
            self.lines.append(f"{self.open[-1]}: {text}")


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(re.sub(r"<(rect|line|circle|path)([^>]*)/>", r"<\1\2></\1>", page))
    reader.close()
    assert reader.open == [], "every element is closed"
    return reader


def sick() -> str:
    return html.page(samples.diagnosis(), samples.sick_snapshot(), rules=samples.rules())


def cured() -> Diagnosis:
    return samples.diagnosis(samples.CURED, taken_at=samples.later())


def test_the_words_are_as_ever() -> None:
    same_as_golden("page.txt", "\n".join(read(sick()).lines))


def test_the_words_of_before_and_after_are_as_ever() -> None:
    page = html.page(cured(), None, samples.diagnosis())
    same_as_golden("page_before_after.txt", "\n".join(read(page).lines))


def test_nothing_comes_from_elsewhere() -> None:
    for tag, attributes in read(sick()).elements:
        for name in ("src", "href", "action", "poster", "srcset", "data"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), (tag, target)
    assert not re.search(r"url\(|@import|https?://", sick())


def test_headings_descend_one_by_one() -> None:
    levels = [int(tag[1]) for tag, _ in read(sick()).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), levels


def test_pictures_are_named_for_those_who_cannot_see_them() -> None:
    pictures = [attributes for tag, attributes in read(sick()).elements if tag == "svg"]
    assert len(pictures) == 10
    assert all(each.get("role") == "img" and each.get("aria-label") for each in pictures)


def test_names_of_a_database_cannot_become_elements() -> None:
    page = sick()
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "\x1b" not in page


def test_ids_are_unique_and_links_lead_to_them() -> None:
    elements = read(html.page(cured(), None, samples.diagnosis())).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for t, a in elements if t == "a"]
    assert {str(target).lstrip("#") for target in targets} <= set(ids)


def test_without_a_snapshot_there_are_no_pictures() -> None:
    assert "<svg" not in html.page(samples.diagnosis())


def test_nothing_examined_is_not_called_well() -> None:
    blind = tuple(each for each in samples.SICK if each.kind is Kind.UNKNOWN)
    page = html.page(samples.diagnosis(blind))
    assert "Nothing could be examined." in page
    assert "Nothing was found." not in page


def test_what_was_not_proven_is_a_comment() -> None:
    page = sick()
    assert "-- ALTER TABLE public.orders" in page
    assert not re.search(r"(?<!-- )ALTER TABLE public.orders ALTER COLUMN id", page)


# --- before and after -----------------------------------------------------------------------------


def test_cured_only_where_the_rule_looked_again() -> None:
    found = changes(contract(samples.diagnosis()), contract(cured()))
    fates = {change.entry.id: change.fate for change in found}
    assert fates[samples.PINNED.id] is Fate.CURED
    assert fates[samples.SEQUENCE.id] is Fate.REMAINS
    assert fates[samples.NOTICES[0].id] is Fate.NOT_KNOWN  # its rule is unknown now


def test_not_cured_where_the_rule_saw_only_a_part() -> None:
    part = samples.result("redundant-index", "Redundant index", examined=10)
    after = contract(samples.diagnosis((part,)))
    fates = {c.entry.rule: c.fate for c in changes(contract(samples.diagnosis()), after)}
    assert fates["redundant-index"] is Fate.NOT_KNOWN
    assert fates["horizon-pinned"] is Fate.NOT_KNOWN  # not asked again


def test_what_was_not_there_before_is_new() -> None:
    found = changes(contract(cured()), contract(samples.diagnosis()))
    assert {c.entry.id for c in found if c.fate is Fate.NEW} == {
        each.id for each in samples.diagnosis().ranked if each.id != samples.SEQUENCE.id
    }
