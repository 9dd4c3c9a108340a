"""What all tests share: the versions under test in the report's header."""

from __future__ import annotations

from howdah.testing import servers_line


def pytest_report_header() -> str:
    return servers_line()
