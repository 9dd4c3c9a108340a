"""Renderings of a diagnosis: terminal, JSON, SARIF, one HTML page, the live view.

Owns how results look. Must never decide anything: verdicts, order, suppression and proof come with
the diagnosis, and every rendering reads them from the one contract (`howdah.report.contract`).
"""
