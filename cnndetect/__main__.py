"""``python -m cnndetect VERB``, the same as the console script ``cnndetect``."""

import sys

from cnndetect.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
