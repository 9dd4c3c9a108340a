"""Which PostgreSQL majors a test runs on.

Owns the tested installations, the marker that narrows them and the xdist groups. Must never look
for installations before a test that needs one is collected: the plugin is loaded everywhere.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from howdah.errors import BadInput, Unsupported
from howdah.postgres import Installation, installation

DEFAULT_MAJORS = (18, 15)
"""The newest, and the one that current Debian packages."""

ENVIRONMENT = "HOWDAH_TEST_PG"
FIXTURE = "postgres_installation"
GROUP = "postgres-{major}{module}"
"""The xdist group of a module's tests on one major."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One major to test on: its installation, or why it is skipped."""

    major: int
    installation: Installation | None = None
    missing: str = ""


@functools.cache
def candidates() -> tuple[Candidate, ...]:
    """The majors to test on, newest first; `BadInput` for a malformed environment variable."""
    named = _named(os.environ.get(ENVIRONMENT, ""))
    majors = sorted({*DEFAULT_MAJORS, *named}, reverse=True)
    return tuple(_find(major, named.get(major)) for major in majors)


def _named(value: str) -> dict[int, Path]:
    pairs = [item.partition(":") for item in value.split(",") if item.strip()]
    try:
        return {int(major): Path(path.strip()) for major, _, path in pairs}
    except ValueError:
        raise BadInput(
            f"{ENVIRONMENT} is malformed: {value!r}", hint="write 14:/path/to/bin,16:/path/to/bin"
        ) from None


def _find(major: int, path: Path | None) -> Candidate:
    """What was named must be there; what is only the default may be missing."""
    if path is not None:
        return Candidate(major=major, installation=installation(major, path))
    try:
        return Candidate(major=major, installation=installation(major))
    except Unsupported as error:
        return Candidate(major=major, missing=str(error).replace("\n", " "))


def servers_line() -> str:
    """The tested servers in one line, for a report header."""
    versions = [
        one.installation.version if one.installation else f"{one.major} (missing)"
        for one in candidates()
    ]
    return f"PostgreSQL: {', '.join(versions)}"


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest about our marker, and about xdist's, which is absent without xdist."""
    config.addinivalue_line(
        "markers",
        "postgres(since=None, until=None, newest=False, newest_by_default=False):"
        " the PostgreSQL majors of a test",
    )
    config.addinivalue_line("markers", "xdist_group(name): tests that share a worker")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses a server once per tested major."""
    if FIXTURE not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("postgres")
    asked = narrowed(marker.kwargs if marker else {}, os.environ.get(ENVIRONMENT, ""))
    chosen = select(candidates(), **asked)
    # Tests that name a group of their own share it per major, in whichever modules they are.
    grouped = metafunc.definition.get_closest_marker("xdist_group")
    module = "" if grouped else f"-{metafunc.module.__name__.rpartition('.')[2]}"
    metafunc.parametrize(
        FIXTURE,
        [_parameter(one, module) for one in chosen],
        indirect=True,
        scope="session",
        ids=[f"pg{one.major}" if one.major else "none" for one in chosen],
    )


def narrowed(marker: Mapping[str, Any], named: str) -> dict[str, Any]:
    """What `select` is asked for: the newest by default is the newest where no major is named."""
    asked = dict(marker)
    if asked.pop("newest_by_default", False) and not named:
        asked["newest"] = True
    return asked


def select(
    offered: tuple[Candidate, ...],
    *,
    since: int | None = None,
    until: int | None = None,
    newest: bool = False,
) -> tuple[Candidate, ...]:
    """Those within the range, newest first; one that is skipped where there is none."""
    within = tuple(one for one in offered if (since or 0) <= one.major <= (until or one.major))
    if not within:
        missing = f"no tested PostgreSQL is in [{since or ''}-{until or ''}]; see {ENVIRONMENT}"
        return (Candidate(major=0, missing=missing),)
    installed = tuple(one for one in within if one.installation)
    return (installed or within)[:1] if newest else within


def _parameter(one: Candidate, module: str = "") -> object:
    marks = [pytest.mark.xdist_group(GROUP.format(major=one.major, module=module))]
    if one.installation is None:
        marks.append(pytest.mark.skip(reason=one.missing))
    return pytest.param(one.installation, marks=marks)
