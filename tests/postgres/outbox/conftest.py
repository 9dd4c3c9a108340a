"""What the tests of the outbox share."""

from __future__ import annotations

import pytest

from howdah.testing import Database
from tests.postgres.outbox.posted import Posted


@pytest.fixture
def posted(database: Database) -> Posted:
    return Posted(database.dsn)
