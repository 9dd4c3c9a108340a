"""The public surface, written down: a name added or taken away is a decision, not an accident."""

from __future__ import annotations

import howdah.postgres
import howdah.sandbox
import howdah.testing

PUBLIC = {
    "howdah.postgres": [
        "Installation",
        "Marker",
        "Server",
        "connect",
        "describe",
        "find_installations",
        "installation",
        "programs",
    ],
    "howdah.sandbox": [
        "Answer",
        "Locale",
        "LockHeld",
        "Plan",
        "PlanNode",
        "Planner",
        "Rebuilt",
        "Refusal",
        "Run",
        "Sandbox",
        "Scan",
        "SchemaDump",
        "Serving",
        "StatementRun",
        "Verdict",
        "dump_schema",
        "is_sandbox",
        "mark",
        "measure",
        "require_sandbox",
        "unmark",
    ],
    "howdah.testing": [
        "Database",
        "FakeClock",
        "GROUP",
        "database",
        "own_server",
        "postgres_installation",
        "pytest_configure",
        "pytest_generate_tests",
        "server",
        "servers_line",
        "wait_until",
    ],
}


def test_the_public_names_are_these() -> None:
    for module in (howdah.postgres, howdah.sandbox, howdah.testing):
        assert sorted(module.__all__) == PUBLIC[module.__name__]
        for name in module.__all__:
            assert getattr(module, name, None) is not None, name
