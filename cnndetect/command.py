"""What every command line does with an error: say it on stderr and leave with a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cnndetect.errors import CnndetectError, UnknownNameError


def guarded(run: Callable[[], int], *, resumes: bool) -> int:
    """The status of ``run``; where it raises a CnndetectError, 1, or 2 for an unknown name, and the message on stderr.

    resumes: whether the same command goes on after an interruption; then it says so instead of a traceback.

    >>> guarded(lambda: 0, resumes=True)
    0
    """
    try:
        return run()
    except CnndetectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownNameError) else 1
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        if not resumes:
            raise
        print("interrupted; the same command continues", file=sys.stderr)
        return 1
