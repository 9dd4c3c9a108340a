"""A diagnosis that can be trusted: rules over a snapshot, answers of a planner, trials of remedies.

Owns what is wrong, how sure that is, and what to do about it. Must never write to the database that
is diagnosed.
"""
