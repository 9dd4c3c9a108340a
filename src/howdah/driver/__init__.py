"""One decision, several drivers: store operations as generators, and who runs them.

Owns statements, queries and runners. Must never open or end a transaction of the caller.
"""
