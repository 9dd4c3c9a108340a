"""Where a relay publishes to: one file each, one contract, one conformance suite."""
