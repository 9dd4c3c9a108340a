"""See the overload before it happens: discrete-event simulation of metastable failures.

Owns models, the two engines that run them, and the answers computed from runs. Must never import
numba before a run needs it: reading and checking a model works without it.
"""
