"""What ``score`` returns for several images: an array that a notebook shows as a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

MOST_ROWS = 50


class ScoreArray(np.ndarray):
    """float64 [N] with the names of the images. What is computed from it is a plain array; a slice keeps no names.

    >>> scores = ScoreArray.of(np.array([0.9, 0.2]), ["a.png", "b.png"], ["fake", "real"], "fakeness")
    >>> float(scores.max()), "a.png" in scores._repr_html_()
    (0.9, True)
    """

    names: Sequence[str] | None
    """One per image: its path, or its place in what was given. None for a part of another array."""
    verdicts: Sequence[str]
    """One per image, "" where it failed; empty where the detector has no threshold."""
    kind: str
    """What the numbers are: "fakeness" or "logit"."""

    @classmethod
    def of(cls, values: np.ndarray, names: Sequence[str], verdicts: Sequence[str], kind: str) -> ScoreArray:
        """values: float64 [N]."""
        made = values.view(cls)
        made.names, made.verdicts, made.kind = names, verdicts, kind
        return made

    def __array_finalize__(self, source: Any) -> None:
        self.names, self.verdicts, self.kind = None, (), getattr(source, "kind", "fakeness")

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array)[()]

    def frame(self) -> pandas.DataFrame:
        """A pandas data frame with a row per image. Raises ModuleNotFoundError where pandas is not installed."""
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("A frame needs pandas. Run: pip install 'cnndetect[frames]'", name="pandas") from error
        columns: dict[str, Any] = {"image": self._names(), self.kind: np.asarray(self)}
        return pandas.DataFrame(columns | ({"verdict": list(self.verdicts)} if self.verdicts else {}))

    def plot(self) -> matplotlib.figure.Figure:
        """The images in order of their scores; above 40 images, how many have which score. A matplotlib figure.

        Raises ModuleNotFoundError where matplotlib is not installed.
        """
        # The drawings lie on a higher floor, which is entered only when one is asked for.
        drawn = import_module("cnndetect.report.figures.scores").scores
        return drawn(dict(enumerate(self._names())), np.asarray(self), kind=self.kind)

    def _repr_html_(self) -> str | None:
        if self.ndim != 1:
            return None
        rows = []
        verdicts = self.verdicts or [""] * len(self)
        for name, value, verdict in list(zip(self._names(), self.tolist(), verdicts, strict=True))[:MOST_ROWS]:
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{value:.4f}</td><td>{verdict}</td></tr>")
        more = f"<p>and {len(self) - MOST_ROWS:,} more</p>" if len(self) > MOST_ROWS else ""
        head = f"<tr><th>image</th><th>{self.kind}</th><th>{'verdict' if self.verdicts else ''}</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"

    def _names(self) -> Sequence[str]:
        return self.names if self.names is not None else [str(place) for place in range(len(self))]
