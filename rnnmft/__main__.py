"""`python -m rnnmft` is `rnnmft`."""

import sys

from rnnmft.cli import main

if __name__ == "__main__":
    sys.exit(main())
