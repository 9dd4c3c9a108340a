"""Benchmarks: figures beside the targets, side by side in one run.

Owns the loads and the measuring. Must never judge by a clock in a test: a figure is printed beside
its target and beside what the bare statements take in the same run.
"""
