"""What tips a model, how surely, and what keeps it down: searches over runs.

Owns thresholds, hysteresis, rare escapes, minimal triggers, attribution and comparison. Each takes
a budget and a progress callback, and returns a frozen value. Must never know how an engine works.
"""

from __future__ import annotations

from howdah.simulate.search.attribute import Attribution, attribute
from howdah.simulate.search.compare import Matrix, compare
from howdah.simulate.search.frontier import Frontier, frontier
from howdah.simulate.search.hysteresis import Hysteresis, hysteresis
from howdah.simulate.search.programs import Move, Program, search_program
from howdah.simulate.search.splitting import Escape, Question, escape
from howdah.simulate.search.threshold import Threshold, threshold
from howdah.simulate.search.tipping import Curve, Tipping, basin, curve, tipping_load
from howdah.simulate.search.trial import Budget, Judge, Trial, Verdict, trials, verdict
from howdah.simulate.search.trigger import Certificate, MinimalTrigger, find_minimal_trigger

__all__ = [
    "Attribution",
    "Budget",
    "Certificate",
    "Curve",
    "Escape",
    "Frontier",
    "Hysteresis",
    "Judge",
    "Matrix",
    "MinimalTrigger",
    "Move",
    "Program",
    "Question",
    "Threshold",
    "Tipping",
    "Trial",
    "Verdict",
    "attribute",
    "basin",
    "compare",
    "curve",
    "escape",
    "find_minimal_trigger",
    "frontier",
    "hysteresis",
    "search_program",
    "threshold",
    "tipping_load",
    "trials",
    "verdict",
]
