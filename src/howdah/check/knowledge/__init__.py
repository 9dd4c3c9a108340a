"""What the rules know of PostgreSQL: its arithmetic, its texts, its locks, as pure functions.

Owns what several rules need to read a picture. Must never conclude anything: a verdict is a rule's.
"""
