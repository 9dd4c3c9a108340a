"""Texts that a rendering must produce to the letter, and how they are compared and renewed."""
