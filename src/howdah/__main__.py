"""`python -m howdah` is the command line."""

from howdah.cli import main

if __name__ == "__main__":
    main()
