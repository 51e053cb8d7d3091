"""`python -m shed.params [FILE]`"""

from shed.params.command import main

if __name__ == "__main__":
    main()
