"""Benchmarks: each prints progress, then one JSON object on its last line."""
