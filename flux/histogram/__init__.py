"""Latency histograms: HdrHistogram's layout and file formats, recorded by whole numpy columns.

`Histogram` records one column; `HistogramSet` records one column split by group (the steps of a
flow) in a single pass. `codec` writes and reads HdrHistogram's V2 text, `hlog` the log of
intervals, `hgrm` the percentile distribution that plotters take. `layout` explains the buckets.
"""

from flux.histogram.codec import decode, encode
from flux.histogram.grouped import HistogramSet
from flux.histogram.hgrm import percentile_distribution
from flux.histogram.hlog import LogInterval, log_header, log_line, read_log
from flux.histogram.layout import COUNTS_LENGTH, HIGHEST_NS
from flux.histogram.recorder import Histogram

__all__ = [
    "COUNTS_LENGTH",
    "HIGHEST_NS",
    "Histogram",
    "HistogramSet",
    "LogInterval",
    "decode",
    "encode",
    "log_header",
    "log_line",
    "percentile_distribution",
    "read_log",
]
