"""Average precision and the other figures of one set of scores: ``point`` has the values, ``intervals`` their uncertainty."""

from cnndetect.metrics.point import (
    ECE_BINS,
    Figures,
    Ranking,
    accuracy_at,
    average_precision,
    figures,
    fit_threshold,
    impute_failures,
    rank,
    roc_auc,
    sigmoid,
)

__all__ = [
    "ECE_BINS",
    "Figures",
    "Ranking",
    "accuracy_at",
    "average_precision",
    "figures",
    "fit_threshold",
    "impute_failures",
    "rank",
    "roc_auc",
    "sigmoid",
]
