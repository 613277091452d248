"""``python -m cnndetect.detectors``, the same as ``cnndetect detectors``."""

import sys

from cnndetect.cli.main import alias

main = alias("detectors")

if __name__ == "__main__":
    sys.exit(main())
