"""All that is compiled: this folder, and `numbers.py`, are what the disk cache is keyed by.

Owns what happens in a running model. Must never import Python that is not compiled, but numbers.
"""
