"""``python -m cnndetect.data``, the same as ``cnndetect data``."""

import sys

from cnndetect.cli.main import alias

main = alias("data")

if __name__ == "__main__":
    sys.exit(main())
