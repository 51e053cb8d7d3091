"""Pytest puts this folder on the path for it, so that the folders below find `project_calls`."""
