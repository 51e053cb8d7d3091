"""Work that is given out, measured."""
