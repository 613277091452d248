"""``python -m cnndetect.data VERB``: parse, call, print. Answers go to stdout, progress and the licence to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from cnndetect.command import guarded
from cnndetect.data.commands import data_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb: 0 done and right, 1 something is wrong or failed, 2 misused."""
    options = data_parser().parse_args(arguments)

    def run() -> int:
        plain, text, is_right = options.run(options)
        print(json.dumps(plain, indent=1, sort_keys=True) if options.json else text)
        return 0 if is_right else 1

    return guarded(run, resumes=True)


if __name__ == "__main__":
    sys.exit(main())
