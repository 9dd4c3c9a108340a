"""The simulators that `howdah bench simulate` runs, one file each.

Owns nothing itself. Each file has the shape of `howdah.bench.simulator` and a `SIMULATORS`.
"""
