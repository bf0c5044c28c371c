"""`python -m libs.cli` is the `sluice` command, also where nothing is installed."""

from libs.cli.main import main

if __name__ == "__main__":
    main()
