"""What the tests of this folder share."""

from __future__ import annotations

from tests.postgres.schema.toys import shop

__all__ = ["shop"]
