"""The exit codes of every verb, in one table, and the one place where an error becomes a line on stderr.

| code | meaning                                                                                   |
|------|-------------------------------------------------------------------------------------------|
| 0    | done                                                                                      |
| 1    | something failed: an image, a file, a download, results that do not belong together       |
| 2    | misused: an unknown verb, option or name, or options that do not go together              |
| 130  | interrupted                                                                               |
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

from cnndetect.errors import CnndetectError, ProtocolError, UnknownNameError

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

# Verbs whose work is kept when they are interrupted.
RESUMING = ("bench", "train", "data", "detectors", "zoo", "robustness", "ablation")


def code_of(error: BaseException) -> int:
    """The exit code that an error ends the program with.

    >>> code_of(UnknownNameError("x")), code_of(CnndetectError("x")), code_of(KeyboardInterrupt())
    (2, 1, 130)
    """
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    return MISUSED if isinstance(error, (UnknownNameError, ProtocolError, click.UsageError)) else FAILED


def guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    name = command.name or "cnndetect"

    def call() -> int:
        with command.make_context(name, list(arguments)) as context:
            return int(command.invoke(context) or DONE)

    return answered(call, name, resumes=next(iter(arguments), "") in RESUMING)


def answered(call: Callable[[], int], name: str, *, resumes: bool = False) -> int:
    """The exit code of ``call``; an error is one line on stderr, never a traceback, unless it is a bug.

    name: of the program, for its hints.  resumes: whether the same command continues after an interruption.
    """
    try:
        return call()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return MISUSED
    except click.UsageError as error:
        return _say(error, f"{error.format_message()}\nSee: {error.ctx.command_path if error.ctx else name} --help")
    except (CnndetectError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("cnndetect"):
            raise
        return _say(error, str(error))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _say(error, f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error))
    except (KeyboardInterrupt, click.Abort) as error:
        print("interrupted; the same command continues" if resumes else "interrupted", file=sys.stderr)
        return code_of(error)


def _say(error: BaseException, text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code_of(error)
