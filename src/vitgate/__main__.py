"""`python -m vitgate`: the command line, where its script is not on the path."""

from vitgate.cli import main

if __name__ == "__main__":
    main()
