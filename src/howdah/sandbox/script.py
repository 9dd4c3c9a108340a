"""Split the text of an SQL script into statements, without psql.

Owns the lexical rules: quotes, dollar quotes, nested comments, `BEGIN ATOMIC` bodies, psql's own
commands and COPY data. Must never need the text to parse: a script may be newer than our parser.

The rules are psql's (its `psqlscan.l`), with `standard_conforming_strings` on, as pg_dump sets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<quoted>[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*' | '[^']*(?:''[^']*)*' | "[^"]*(?:""[^"]*)*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>[;()\\])
    | (?P<other>\s+ | \d[\w.]* | .)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COPY = re.compile(r"COPY\s.*\sFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_TOC = re.compile(r"-- Name: (?P<name>.*); Type: (?P<type>.*); Schema: (?P<schema>.*); Owner:")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One statement without its semicolon and without the comments before it."""

    text: str
    subject: str = ""
    """What pg_dump says that it is about, such as `TABLE public.orders`; empty without pg_dump."""
    data: str | None = None
    """The lines below `COPY ... FROM stdin`, without the closing `\\.`."""


def split(text: str) -> list[Statement]:
    """The statements of a script in order; psql's commands (a backslash first) are left out.

    >>> [statement.text for statement in split("\\\\restrict x\\nSELECT ';'; -- a;b\\nSELECT 2")]
    ["SELECT ';'", 'SELECT 2']
    """
    return list(_Splitter(text).statements())


class _Splitter:
    """The state between two tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._subject = ""
        self._reset()

    def _reset(self) -> None:
        self._start: int | None = None
        self._end = 0
        self._parentheses = 0
        self._blocks = 0
        self._words: list[str] = []

    def statements(self) -> Iterator[Statement]:
        while match := _TOKEN.match(self._text, self._at):
            self._at = match.end()
            kind = match.lastgroup or "other"
            if kind in ("line", "block"):
                self._comment(match)
            elif kind == "mark" and match[0] == "\\" and self._start is None:
                self._skip_line()
            elif kind == "mark" and match[0] == ";" and not (self._parentheses or self._blocks):
                yield from self._finish()
            elif not match[0].isspace():
                self._token(kind, match)
        yield from self._finish()

    def _token(self, kind: str, match: re.Match[str]) -> None:
        if self._start is None:
            self._start = match.start()
        if kind == "dollar":
            closing = self._text.find(match[0], self._at)
            self._at = closing + len(match[0]) if closing >= 0 else len(self._text)
        elif kind == "word":
            self._word(match[0].lower())
        elif kind == "mark":
            self._parentheses += {"(": 1, ")": -1}.get(match[0], 0)
            self._parentheses = max(0, self._parentheses)
        self._end = self._at

    def _word(self, word: str) -> None:
        if len(self._words) < 4:
            self._words.append(word)
        routine = self._words[0] == "create" and ({"function", "procedure"} & set(self._words[1:4]))
        if not routine or self._parentheses:
            return
        if word == "begin" or (word == "case" and self._blocks):
            self._blocks += 1
        elif word == "end" and self._blocks:
            self._blocks -= 1

    def _comment(self, match: re.Match[str]) -> None:
        if match["block"]:
            depth = 1
            while depth and (edge := _BLOCK_EDGE.search(self._text, self._at)):
                self._at = edge.end()
                depth += 1 if edge[0] == "/*" else -1
            if depth:
                self._at = len(self._text)
        elif self._start is None and (toc := _TOC.match(match[0])):
            schema = "" if toc["schema"] == "-" else f"{toc['schema']}."
            self._subject = f"{toc['type']} {schema}{toc['name']}"

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = end + 1 if end >= 0 else len(self._text)

    def _finish(self) -> Iterator[Statement]:
        if self._start is not None:
            # a quotation that never ends takes the blanks at the end of the script with it
            text = self._text[self._start : self._end].rstrip()
            data = self._copied() if _COPY.match(text) else None
            yield Statement(text=text, subject=self._subject, data=data)
        self._reset()

    def _copied(self) -> str:
        self._skip_line()
        start = self._at
        closing = re.compile(r"^\\\.\r?$", re.MULTILINE).search(self._text, start)
        self._at = closing.end() if closing else len(self._text)
        return self._text[start : closing.start() if closing else len(self._text)]
