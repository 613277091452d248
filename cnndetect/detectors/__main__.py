"""``python -m cnndetect.detectors``: names, records, and the official weights on request."""

from __future__ import annotations

import sys

from cnndetect.detectors.commands import parser
from cnndetect.errors import CnndetectError, ProtocolError, UnknownNameError


def main(arguments: list[str] | None = None) -> int:
    """Run a verb: 0 done, 1 failed, 2 misused."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (UnknownNameError, ProtocolError)) else 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
