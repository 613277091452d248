"""``python -m cnndetect.zoo``, the same as ``cnndetect zoo``."""

import sys

from cnndetect.cli.main import alias

main = alias("zoo")

if __name__ == "__main__":
    sys.exit(main())
