"""The histogram behind percentiles, distribution charts and latency heatmaps.

A histogram keeps the counts of exponential buckets (OpenTelemetry's, scale 5) instead of values:

- A quantile is within RELATIVE_ERROR (1.09 %) of the recorded value that numpy's ``quantile(method="inverted_cdf")``
  returns for the raw values, after any merges in any order.
- Count, sum, minimum and maximum are exact. Sums are whole thousandths of the recorded unit (µs for ms), so they do not
  depend on the order of additions.
- The cost of a percentile depends on the number of buckets (at most 2,560), not on the number of requests.

Measured on lognormal latencies (median 400 ms, σ 0.7) with Python 3.11 on two shared cores, best of five: recording a
value takes 1 µs; 100 values are 64 buckets in 140 bytes, 10,000 are 214 in 447, packed in 52 µs and unpacked in 67; the
99th percentile of 720 hours of 2,000 requests takes 14 ms (44 ms when merged one by one), that of an hour of seconds of
five series (18,000 blobs of 3 values) 30 ms, and three percentiles of 360 points out of as many blobs 26 ms.

``buckets`` maps values to buckets, ``packing`` encodes histograms as bytes, ``folding`` converts the histograms of
OTLP and Prometheus, ``bulk`` fills many histograms at once, ``decoded`` keeps
many decoded, and ``groups`` merges many at once. This package imports
neither Django nor a database.
"""

from __future__ import annotations

from metrics.histogram.buckets import (
    BASE,
    MAX_INDEX,
    MAX_VALUE,
    MIN_INDEX,
    RELATIVE_ERROR,
    SCALE,
    bucket_bounds,
    bucket_index,
)
from metrics.histogram.decoded import DecodedHistograms
from metrics.histogram.groups import HistogramGroups, merge_decoded_groups, merge_packed, merge_packed_groups
from metrics.histogram.histogram import Histogram

__all__ = [
    "BASE",
    "MAX_INDEX",
    "MAX_VALUE",
    "MIN_INDEX",
    "RELATIVE_ERROR",
    "SCALE",
    "DecodedHistograms",
    "Histogram",
    "HistogramGroups",
    "bucket_bounds",
    "bucket_index",
    "merge_decoded_groups",
    "merge_packed",
    "merge_packed_groups",
]
