"""Models: how they are named, loaded, and given text."""
