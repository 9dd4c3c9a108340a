"""Policies: what decides in gates, clients, queues, choices and controllers; one file each.

Owns the family. A policy file must never import an engine.
"""
