"""``python -m cnndetect.audit``, the same as ``cnndetect audit``."""

import sys

from cnndetect.cli.main import alias

main = alias("audit")

if __name__ == "__main__":
    sys.exit(main())
