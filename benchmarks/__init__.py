"""Benchmarks: programs that print what the documents claim, with their committed JSON results."""
