"""The connections of a worker.

Owns their names and their patience. Must never keep one.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah import postgres

PATIENCE = {  # of a worker's connections with a network that swallows what is sent
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def connect(dsn: str, what: str) -> psycopg.Connection[Any]:
    """A connection that finds out when nobody answers; options in the DSN win."""
    given = conninfo_to_dict(dsn)
    patience = {key: value for key, value in PATIENCE.items() if key not in given}
    target = make_conninfo(dsn, **patience)
    return postgres.connect(target, application_name=f"howdah queue {what}")
