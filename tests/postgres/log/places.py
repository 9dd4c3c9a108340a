"""A database on a server that a test started for itself."""

from __future__ import annotations

from howdah.postgres import Server
from howdah.testing import Database


def place_on(server: Server) -> Database:
    """Its end is the server's end."""
    return Database(server)
