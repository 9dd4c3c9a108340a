"""The reference engine: objects, a heap and plain Python, written from `semantics.md` alone.

Owns the oracle that the compiled kernel is held against, and runs what cannot be compiled. Must
never import the kernel or numba (numpy only to hand out samples), nor trade readability for speed.
"""

from howdah.simulate.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
