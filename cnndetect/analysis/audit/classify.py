"""How well a small classifier tells real from fake by facts about the files alone, on photographs it has not seen.

Folds are whole photographs; the predictions of all folds are pooled, because a useless classifier scores below chance
fold by fold. Classes weigh the same, in training and in the figure: chance is 0.5 whatever the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnndetect.analysis.audit.files import FileFacts
from cnndetect.metrics.intervals import Interval, SetScores, pooled_average_precision

FOLDS = 5

# A category that fewer files have tells nothing that a fold could check.
LEAST_FILES = 2


def metadata_table(facts: Sequence[FileFacts]) -> np.ndarray:
    """What can be known without decoding pixels, but for the length: [N, F]; categories as columns of 0 and 1.

    The length of a file is left out: under one encoder it measures the picture, see ``length_table``.
    """
    columns: list[np.ndarray] = []
    for name in ("format", "mode", "encoder", "jpeg_exact"):
        columns += _one_hot([getattr(fact, name) for fact in facts])
    for key in sorted({key for fact in facts for key in fact.metadata}):
        columns += _one_hot([key in fact.metadata for fact in facts])[:1]
    sizes = np.array([[fact.width, fact.height, fact.width / max(fact.height, 1)] for fact in facts], dtype=np.float64)
    quality = np.nan_to_num([fact.jpeg_quality for fact in facts], nan=0.0)
    return np.column_stack([sizes, quality, *columns])


def length_table(facts: Sequence[FileFacts]) -> np.ndarray:
    """Logarithms of the file's length and of its bytes a pixel: [N, 2]."""
    lengths = np.log([max(fact.bytes, 1) for fact in facts])
    return np.column_stack([lengths, lengths - np.log([max(fact.width * fact.height, 1) for fact in facts])])


def statistics_table(facts: Sequence[FileFacts]) -> np.ndarray:
    """Global statistics of the pixels, see audit_pixels.STATISTICS: [N, 8]."""
    return np.stack([fact.statistics for fact in facts])


def history_table(facts: Sequence[FileFacts]) -> np.ndarray:
    """Earlier compression and resizing that the pixels show, see history.NAMES: [N, 9].

    What an image does not tell is taken to be as in the middle of the set, so that flat pictures are no class of their own.
    """
    table = np.stack([fact.history for fact in facts])
    known = ~np.isnan(table)
    middle = [float(np.median(column[seen])) if seen.any() else 0.0 for column, seen in zip(table.T, known.T, strict=True)]
    return np.where(known, table, middle)


def trees() -> Any:
    """Extremely randomised trees (Geurts et al., 2006): for categories and steps, such as sizes and encoders."""
    from sklearn.ensemble import ExtraTreesClassifier

    # Without resampling a leaf that cannot be split says exactly one half.
    return ExtraTreesClassifier(n_estimators=100, min_samples_leaf=LEAST_FILES, class_weight="balanced", random_state=0)


def logistic() -> Any:
    """Logistic regression on standardised columns."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def cross_validated_ap(
    table: np.ndarray, labels: np.ndarray, clusters: Sequence[str], make: Callable[[], Any], *, draws: int = 2000, seed: int = 0
) -> Interval:
    """Average precision of out-of-fold predictions, classes balanced, with its 95 % interval over photographs.

    table: [N, F].  labels: [N] of 0/1.  clusters: [N] names of photographs; one photograph is never on both sides of a fold.
    make: a fresh classifier.  Chance is 0.5; columns that tell nothing give 0.5 exactly.

    >>> same = np.ones((8, 1))
    >>> cross_validated_ap(same, np.array([0, 1] * 4), list("aabbccdd"), trees, draws=0).value
    0.5
    """
    logits = out_of_fold(table, labels, clusters, make)
    return pooled_average_precision([SetScores(labels, logits, np.asarray(clusters))], draws=draws, seed=seed)


def out_of_fold(table: np.ndarray, labels: np.ndarray, clusters: Sequence[str], make: Callable[[], Any]) -> np.ndarray:
    """For every image the probability of fake by a classifier that has not seen its photograph: [N], rounded to 1e-9.

    One half for all where no column varies, or where there are not two photographs of each class.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    predictions = np.full(len(labels), 0.5)
    groups = np.unique(np.asarray(clusters), return_inverse=True)[1]
    folds = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in (0, 1)))
    if folds < 2 or not np.ptp(table, axis=0).any():
        return predictions
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for known, unknown in splitter.split(table, labels, groups):
        if len(np.unique(labels[known])) == 2:
            model = make().fit(table[known], labels[known])
            predictions[unknown] = model.predict_proba(table[unknown])[:, 1]
    # Equal leaves of different folds must tie: sums of floats differ in the last digit.
    return predictions.round(9)


def _one_hot(values: Sequence[Any]) -> list[np.ndarray]:
    names = sorted(set(values))
    columns = [np.array([value == name for value in values], dtype=np.float64) for name in reversed(names)]
    return [column for column in columns if LEAST_FILES <= column.sum() < len(values)]
