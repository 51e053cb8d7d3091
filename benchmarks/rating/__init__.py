"""A benchmark of ratings."""
