"""Tests in a real headless Chromium; skipped by name where there is none."""
