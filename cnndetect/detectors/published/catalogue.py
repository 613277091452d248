"""All published detectors by name. A new adapter is added to the imports and to the tuple below."""

from __future__ import annotations

from cnndetect.detectors.published import (
    aide,
    bfree,
    c2pclip,
    clip_probes,
    clipbased,
    commfor,
    d3,
    dda,
    drct,
    gramnet,
    ladeda,
    mesonet,
    nodown,
    npr,
    rine,
    safe,
    sahu65,
    univfd,
)
from cnndetect.detectors.published.record import Published

_ADAPTERS = (
    npr,
    ladeda,
    safe,
    gramnet,
    nodown,
    univfd,
    rine,
    clip_probes,
    clipbased,
    c2pclip,
    d3,
    drct,
    commfor,
    bfree,
    dda,
    aide,
    mesonet,
    sahu65,
)

PUBLISHED: dict[str, Published] = {record.name: record for adapter in _ADAPTERS for record in adapter.RECORDS}
