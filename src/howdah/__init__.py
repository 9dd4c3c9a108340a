"""Howdah: one PostgreSQL, many workloads, with proof.

The public surface is what this package and `howdah.testing` export; everything else may move.
"""

from importlib.metadata import version

__version__ = version("howdah")
