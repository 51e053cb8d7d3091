"""Selections that were made elsewhere: what their files say, and which records of the pool that means."""
