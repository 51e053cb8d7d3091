"""Whether a project is in order, and what lies in its caches."""
