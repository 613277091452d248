"""Every published detector by name: a dict that grows by one line per adapter."""

from __future__ import annotations

from cnndetect.detectors.published import c2pclip, clipbased, d3, gramnet, ladeda, nodown, npr, rine, safe, univfd
from cnndetect.detectors.published.record import Published

_ADAPTERS = (npr, ladeda, safe, gramnet, nodown, univfd, rine, clipbased, c2pclip, d3)

PUBLISHED: dict[str, Published] = {record.name: record for adapter in _ADAPTERS for record in adapter.RECORDS}
