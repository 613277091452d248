"""``python -m cnndetect.train``, the same as ``cnndetect train``."""

import sys

from cnndetect.cli.main import alias

main = alias("train")

if __name__ == "__main__":
    sys.exit(main())
