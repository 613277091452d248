"""``python -m cnndetect.bench``, the same as ``cnndetect bench``."""

import sys

from cnndetect.cli.main import alias

main = alias("bench")

if __name__ == "__main__":
    sys.exit(main())
