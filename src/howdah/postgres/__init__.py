"""Servers that Howdah owns, connections to any database, and what differs between versions.

Owns everything that starts, stops or reaches a PostgreSQL. Must never touch a server or a folder
that does not carry the marker.
"""

from __future__ import annotations

from howdah.postgres.connection import connect, describe
from howdah.postgres.installations import (
    Installation,
    find_installations,
    installation,
    programs,
)
from howdah.postgres.marker import Marker
from howdah.postgres.server import Server

__all__ = [
    "Installation",
    "Marker",
    "Server",
    "connect",
    "describe",
    "find_installations",
    "installation",
    "programs",
]
