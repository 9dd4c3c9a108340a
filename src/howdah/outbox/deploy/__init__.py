"""Documents that put a relay into operation: one file for each place, `render(options)` in each.

Owns nothing but texts. Must never talk to a cluster or a cloud.
"""
