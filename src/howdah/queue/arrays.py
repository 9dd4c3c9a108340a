"""Arrays as the text that the server reads them from.

Owns that spelling, for numbers and places only. A claim has hundreds of jobs, and drivers look at
each element of a list for its type and for what must be quoted; these need neither. Must never be
given text that a user wrote.
"""

from __future__ import annotations

from collections.abc import Iterable


def of_numbers(numbers: Iterable[int]) -> str:
    """An array of integers.

    >>> of_numbers([1, 2])
    '{1,2}'
    """
    return "{" + ",".join(map(str, numbers)) + "}"


def of_tids(tids: Iterable[str]) -> str:
    """An array of row places, each like `(0,1)`, or empty for a row that has none.

    >>> of_tids(["(0,1)", "(0,2)"])
    '{"(0,1)","(0,2)"}'
    >>> of_tids([])
    '{}'
    """
    inside = '","'.join(tids)
    return f'{{"{inside}"}}' if inside else "{}"
