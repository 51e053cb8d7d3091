"""Dev and test where there are none: split off the pool."""
