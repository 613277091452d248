"""`python -m cnndetect.score`, the same as `cnndetect score`; in Python, `cnndetect.score` stays callable.

A sub-module takes the place of the function of the same name once it is imported. So this module can be called, and
is then the function: `cnndetect.score(img)` works whatever was imported before.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

from cnndetect.cli.main import alias
from cnndetect.scoring import score

__all__ = ["main", "score"]

main = alias("score")


class _CallableModule(ModuleType):
    __signature__ = inspect.signature(score)

    def __call__(self, *images: Any, **options: Any) -> Any:
        return score(*images, **options)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
