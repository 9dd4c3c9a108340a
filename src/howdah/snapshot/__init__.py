"""One picture of a database: taken in a short read-only transaction, then a value and a file.

Owns the facts, their collection and their file. Must never write to the database that it reads.
"""
