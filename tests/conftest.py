"""What all tests share: the versions under test in the report's header, compiled modules."""

from __future__ import annotations

import os

from howdah.testing import servers_line

# Tests start hundreds of processes; each would compile all of Howdah again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_report_header() -> str:
    return servers_line()
