"""``python -m cnndetect.data VERB``: parse, call, print. Answers go to stdout, progress and the licence to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from cnndetect.data.commands import data_parser
from cnndetect.errors import CnndetectError, UnknownNameError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb: 0 done and right, 1 something is wrong or failed, 2 misused."""
    options = data_parser().parse_args(arguments)
    try:
        plain, text, is_right = options.run(options)
        print(json.dumps(plain, indent=1, sort_keys=True) if options.json else text)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownNameError) else 1
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 1
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
