"""``python -m cnndetect VERB``, and the entry point of the console script."""

import sys


def main() -> int:
    """Run the program. Ctrl-C ends it with a word and its exit code, also while it is still being imported."""
    try:
        from cnndetect.cli.main import main as program
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130  # guard.INTERRUPTED, which could not be imported
    return program()


if __name__ == "__main__":
    sys.exit(main())
