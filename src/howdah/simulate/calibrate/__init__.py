"""From a real database to a model of it: measured points, a fitted curve, and where it would tip.

Owns the fitting and its uncertainty. Must never hide what the measurements do not determine: a knee
that was not reached is unknown, and is said so.
"""

from howdah.simulate.calibrate.fit import Curve, Fitted, Point, fit
from howdah.simulate.calibrate.sources import from_recording, from_snapshot

__all__ = ["Curve", "Fitted", "Point", "fit", "from_recording", "from_snapshot"]
