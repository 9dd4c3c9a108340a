"""Disposable copies of a database, and what may be done to them: measure, plan, fill.

Owns the marker, the sandbox, its schema, one measured run, the planner's answers and synthetic
rows. Must never do anything destructive where the marker is missing, and must never connect from a
sandbox to anything else.
"""
