"""`python -m lim_cli` is `lim`."""

from lim_cli.cli.main import main

if __name__ == "__main__":
    main()
