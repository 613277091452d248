"""Every published detector by name: a dict that grows by one line per adapter."""

from __future__ import annotations

from cnndetect.detectors.published import gramnet, ladeda, nodown, npr, safe
from cnndetect.detectors.published.record import Published

PUBLISHED: dict[str, Published] = {record.name: record for adapter in (npr, ladeda, safe, gramnet, nodown) for record in adapter.RECORDS}
