"""Disposable copies of a database, and what may be done to them: measure, plan, fill.

Owns the marker, the sandbox, its schema, one measured run, the planner's answers and synthetic
rows. Must never do anything destructive where the marker is missing, and must never connect from a
sandbox to anything else.
"""

from __future__ import annotations

from howdah.sandbox.marker import is_sandbox, mark, require_sandbox, unmark
from howdah.sandbox.measure import measure
from howdah.sandbox.plan import PlanNode
from howdah.sandbox.planner import Answer, Plan, Planner, Verdict
from howdah.sandbox.rebuild import Rebuilt
from howdah.sandbox.run import LockHeld, Refusal, Run, Scan, StatementRun
from howdah.sandbox.sandbox import Sandbox
from howdah.sandbox.schema import dump_schema
from howdah.sandbox.serving import Serving
from howdah.snapshot.schema import Locale, SchemaDump

__all__ = [
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
]
