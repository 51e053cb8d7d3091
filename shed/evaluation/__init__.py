"""Evaluation of tuned models, and what it says of selections."""
