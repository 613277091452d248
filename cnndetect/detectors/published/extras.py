"""Libraries that only some detectors need, imported when one of these is built."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cnndetect.errors import ProtocolError


def need(module: str, *, extra: str, what: str) -> Any:
    """The module, or a ProtocolError that says what to install.

    >>> need("math", extra="clip", what="this example").pi > 3
    True
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ProtocolError(
            f"{what} needs {module}, which is not installed ({error}). Install it: pip install 'cnndetect[{extra}]'."
        ) from error
