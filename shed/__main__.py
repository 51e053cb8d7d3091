"""`python -m shed`: the command, also where it is not installed."""

from shed.cli.app import main

main()
