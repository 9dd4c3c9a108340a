"""Events emitted in business transactions, and the relay that publishes them.

Owns topics, sinks and parked messages. Must never publish what is not committed.
"""
