"""Signals of what may be wrong with single records, whatever dev asks for."""
