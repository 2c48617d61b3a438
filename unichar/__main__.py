"""`python -m unichar <command>`: the same as the command `unichar`, see `unichar/cli.py`."""

import sys

from unichar.cli import main

if __name__ == "__main__":
    sys.exit(main())
