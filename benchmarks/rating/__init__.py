"""Benchmarks of ratings."""
