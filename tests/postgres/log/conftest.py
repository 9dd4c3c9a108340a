"""What the tests of the log share."""

from __future__ import annotations

import pytest

from howdah.testing import Database
from tests.postgres.log.logged import Logged


@pytest.fixture
def logged(database: Database) -> Logged:
    return Logged(database)
