"""How many small faults in the code the tests find (mutation tests): `python -m tools.mutants`, with the extra `mutants`."""
