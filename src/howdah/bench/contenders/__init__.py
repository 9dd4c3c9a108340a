"""Systems measured side by side, ours included: one file each, one shape."""
