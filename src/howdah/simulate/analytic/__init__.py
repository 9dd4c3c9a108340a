"""What is known without simulating: queueing formulas, Markov chains and fluid thresholds.

Owns the formulas and the recognition of models that fall under them. Must never run an engine.
"""

from __future__ import annotations

from howdah.simulate.analytic.answers import Compared, analytic, beside
from howdah.simulate.analytic.word import Answer

__all__ = ["Answer", "Compared", "analytic", "beside"]
