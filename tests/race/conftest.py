"""What the races share: a log in a fresh database."""

from __future__ import annotations

from tests.postgres.log.conftest import logged

__all__ = ["logged"]
