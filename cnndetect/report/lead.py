"""The lead of the best detector over the second, in words: by how much, and whether the photographs decide it."""

from __future__ import annotations

import numpy as np

from cnndetect.bench.standings import Standing, differences
from cnndetect.bench.tables import percent, points


def lead_words(complete: tuple[Standing, ...]) -> str:
    """The leaderboard's finding as one sentence."""
    if not complete:
        return "No detector has results on every family, so there is no leaderboard."
    text = f"**{complete[0].detector}** ranks first, with a macro mean AP of **{percent(complete[0].macro)}**"
    if len(complete) == 1:
        return f"{text}; no other detector has results on every family."
    second, (sure, _) = complete[1], list(lead(complete).values())[1]
    ahead = points(differences(complete[:2])[complete[0].detector, second.detector])
    return f"{text}, ahead of {second.detector} by {ahead} points. {sure}."


def lead(complete: tuple[Standing, ...]) -> dict[str, tuple[str, str]]:
    """Question -> answer, and the numbers that it rests on; complete: at least two, best first."""
    best, second = complete[:2]
    pairs = differences(complete)
    lead = pairs[best.detector, second.detector]
    ahead = f"{100 * lead.value:.1f} points ahead"
    by = f"{points(lead)} over {second.detector}"
    tied = [other.detector for other in complete[1:] if not pairs[best.detector, other.detector].excludes_zero]
    if tied:
        others = f"{len(tied)} of {len(complete) - 1} others" if len(complete) > 2 else "the other"
        sure = f"Cannot be told apart from {others}"
    else:
        sure = "Beyond what the choice of photographs explains"
    if np.isnan(best.rank_low):
        rank = ""
    elif best.rank_low == best.rank_high:
        rank = f"other photographs would leave it on rank {best.rank_low:g}"
    else:
        rank = f"other photographs would have put it on rank {best.rank_low:g} to {best.rank_high:g}"
    return {"By how much?": (ahead, by), "How sure is that?": (sure, rank or "paired, 95 %")}
