"""`python -m cnndetect.train`: train a detector; see --help."""

from __future__ import annotations

import json
import sys

from cnndetect.errors import CnndetectError
from cnndetect.train.loop import plan, train
from cnndetect.train.options import config_from, make_parser


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, print; 0 done, 1 failed, 2 misused."""
    options = make_parser().parse_args(arguments)
    try:
        config = config_from(options)
        if options.dry_run:
            print(plan(config))
            return 0
        record = train(config, progress=True, rerun=options.rerun)
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(record.as_json(), indent=2, sort_keys=True))
    else:
        print(record.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
