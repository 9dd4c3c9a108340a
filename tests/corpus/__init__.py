"""Real schemas as a test of truth: nothing of them is in this tree, `fetch` brings them."""
