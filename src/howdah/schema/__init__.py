"""Install, upgrade and uninstall what Howdah keeps in a database.

Owns the `howdah` schema's versions and roles. Must never change an object that is not Howdah's.
"""
