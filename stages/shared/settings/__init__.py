"""Params as the library's settings: one module for each of what stages hand down."""
