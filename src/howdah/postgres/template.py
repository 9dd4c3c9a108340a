"""A data folder per server build, initialised once and copied for each server.

Owns the cache of templates and how they are initialised. Must never start a server in one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from howdah.errors import CouldNot
from howdah.postgres import settings
from howdah.postgres.account import Account
from howdah.postgres.copying import copy_tree
from howdah.postgres.folders import cache, locked
from howdah.postgres.installations import Installation
from howdah.postgres.runnable import fingerprint

_LOCALES = ("C.UTF-8", "C")
"""Tried in order; not every C library has the first."""


def fill(data: Path, installation: Installation, account: Account) -> None:
    """Make `data` a fresh data folder: superuser postgres, UTF8, trusting whom the socket lets in.

    All copies of one template share its system identifier.
    """
    copy_tree(_template(installation, account), data, account)
    # Without them the counters begin when this server first starts, not when initdb ran.
    for counters in (data / "pg_stat").iterdir():
        counters.unlink()


def _template(installation: Installation, account: Account) -> Path:
    home = cache(account) / "templates"
    home.mkdir(exist_ok=True)
    template = home / f"{installation.version}-{account.uid}-{fingerprint(installation)}"
    if not template.exists():
        with locked(home / ".lock"):
            if not template.exists():
                _initialise(template, installation, account)
    return template


def _initialise(template: Path, installation: Installation, account: Account) -> None:
    building = template.with_name(f"{template.name}.{os.getpid()}")
    problems = []
    for locale in _LOCALES:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        account.give(building)
        done = account.run(
            [
                *(installation.program("initdb"), "--pgdata", building, "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", f"--locale={locale}", "--no-sync"),
            ]
        )
        if done.returncode == 0:
            settings.include(building)
            building.rename(template)
            return
        problems.append(done.stderr.strip())
    shutil.rmtree(building, ignore_errors=True)
    raise CouldNot(
        f"initdb of PostgreSQL {installation.version} failed",
        detail="\n".join(problems),
        hint=f"run {installation.bindir}/initdb by hand as {account.name}",
    )
