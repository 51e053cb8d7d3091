"""Benchmarks of speed and memory: programs with their committed JSON results."""
