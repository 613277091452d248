"""``python -m cnndetect.report``, the same as ``cnndetect report``."""

import sys

from cnndetect.cli.main import alias

main = alias("report")

if __name__ == "__main__":
    sys.exit(main())
