"""``python -m cnndetect.zoo VERB``: parse, call, print."""

from __future__ import annotations

import json
import sys

from cnndetect.errors import CnndetectError
from cnndetect.zoo.commands import parser


def main() -> int:
    """Run one verb: 0 done, 1 failed, 2 misused."""
    options = parser().parse_args()
    try:
        print(json.dumps(options.run(options), indent=1))
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
