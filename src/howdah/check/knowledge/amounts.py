"""How amounts are said: bytes, seconds, counts and shares, the same in claims and on every page.

Owns the wording of single numbers. Must never round so far that two different findings read alike,
nor write a unit that a reader must convert.
"""

from __future__ import annotations

from howdah.snapshot.picture import PAGE_BYTES

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_LONG_SECONDS = 30 * 86_400  # from here nobody counts hours
_TIME_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def size(count: float) -> str:
    """Bytes as a reader says them, in steps of 1024.

    >>> size(1_288_490_189)
    '1.2 GB'
    """
    amount, left = float(count), list(_BYTE_UNITS)
    while abs(amount) >= 1023.5 and len(left) > 1:
        amount /= 1024
        del left[0]
    return f"{amount:.0f} {left[0]}" if abs(amount) >= 100 else f"{amount:.3g} {left[0]}"


def pages_size(pages: float) -> str:
    """Pages of 8 kB as their size.

    >>> pages_size(1280)
    '10 MB'
    """
    return size(pages * PAGE_BYTES)


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter.

    >>> duration(11_520), duration(2000.1 * 86_400)
    ('3 h 12 min', '2,000 d')
    """
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, step, small, sub in _TIME_UNITS:
        if whole >= step:
            rest = whole % step // sub if whole < _LONG_SECONDS else 0
            return f"{whole // step:,} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def number(value: float) -> str:
    """A count with separators; a fraction with four figures that mean something.

    >>> number(2083059138), number(0.123456)
    ('2,083,059,138', '0.1235')
    """
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent(fraction: float) -> str:
    """A fraction as a percentage.

    >>> percent(0.973)
    '97.3%'
    """
    return f"{fraction * 100:.3g}%"


def counted(count: float, noun: str, nouns: str = "") -> str:
    """A count with its noun, in the plural unless it is one.

    >>> counted(1, "session"), counted(1204, "index", "indexes")
    ('1 session', '1,204 indexes')
    """
    return f"{count:,.0f} {noun if round(count) == 1 else nouns or noun + 's'}"
