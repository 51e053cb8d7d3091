"""The report: one page, readable without a network, of what was selected, what it did, and how far to trust it."""
