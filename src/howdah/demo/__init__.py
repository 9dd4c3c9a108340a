"""The demonstration: a small shop falls ill, is diagnosed, cured, and diagnosed again.

Owns the shop, its traffic and the story. Must never touch a server that it did not start itself.
"""
