"""What is known of each schema at the versions that were studied; see README.md.

A distribution moves its packages on: at another version the oracles still judge, these do not.
"""

from __future__ import annotations

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of one schema, and what is truly wrong with them, the same on every major."""

    version: str
    tables: int
    indexes: int
    foreign_keys: int
    redundant: int = 0
    unserved: int = 0  # foreign keys without an index
    keyless: int = 0  # tables without a primary key or a usable unique index


FIGURES = {
    "zabbix": Figures(
        version="1:6.0.14+dfsg-1+b1", tables=173, indexes=407, foreign_keys=226, unserved=23
    ),
    "synapse": Figures(
        version="1.163.2",
        tables=138,
        indexes=242,
        foreign_keys=14,
        redundant=7,
        unserved=2,
        keyless=31,
    ),
    "icinga": Figures(
        version="2.13.6-2+deb12u2", tables=61, indexes=234, foreign_keys=0, redundant=26
    ),
    "mediawiki": Figures(
        version="1:1.39.17-1+deb12u2", tables=58, indexes=187, foreign_keys=0, keyless=4
    ),
    "kea": Figures(
        version="2.2.0-6",
        tables=55,
        indexes=148,
        foreign_keys=68,
        redundant=4,
        unserved=8,
        keyless=1,
    ),
    "bacula": Figures(
        version="9.6.7-7", tables=26, indexes=44, foreign_keys=0, redundant=2, keyless=2
    ),
    "roundcube": Figures(
        version="1.6.5+dfsg-1+deb12u13", tables=17, indexes=33, foreign_keys=14, keyless=1
    ),
    "powerdns": Figures(version="4.7.3-2", tables=7, indexes=19, foreign_keys=4, redundant=3),
}
