"""Statement texts without what people typed into them.

Owns the blanking of literals and comments. Must never let a text through that PostgreSQL's own
scanner could not split into tokens: what cannot be read cannot be blanked.
"""

from __future__ import annotations

from functools import lru_cache

from pglast.parser import ParseError, scan

WITHHELD = "<text withheld: cannot be scanned>"
HIDDEN = "<insufficient privilege>"
"""What the server shows instead of the text of another role's statement."""

# Token names of PostgreSQL's scanner, as pglast gives them.
_LITERALS = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"})
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})


@lru_cache(maxsize=4096)
def blanked(text: str) -> str:
    """The statement without comments and with `$1`, `$2`, ... for its literals, or `WITHHELD`.

    Numbers are blanked too: an account number is data as much as a name is. Identifiers stay, and
    so do parameters; the numbers of ours continue after theirs.

    >>> blanked("SELECT name FROM people WHERE id = $1 AND town = 'Ulm' -- Ann's")
    'SELECT name FROM people WHERE id = $1 AND town = $2'
    >>> blanked("ALTER ROLE ann PASSWORD 'secret")
    '<text withheld: cannot be scanned>'
    """
    if text == HIDDEN:
        return text
    try:
        tokens = scan(text)
    except (ParseError, UnicodeError):
        return WITHHELD
    taken = [text[t.start + 1 : t.end + 1] for t in tokens if t.name == "PARAM"]
    number = max((int(digits) for digits in taken if digits.isdecimal()), default=0)
    parts: list[str] = []
    position = 0
    for token in tokens:
        if token.name in _LITERALS:
            number += 1
            parts += (text[position : token.start], f"${number}")
        elif token.name in _COMMENTS:
            parts.append(text[position : token.start])
        else:
            continue
        position = token.end + 1
    parts.append(text[position:])
    return "".join(parts).strip()
