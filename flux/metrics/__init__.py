"""What a run exposes while it goes on, for those who watch it from outside.

    book       counts and bucket counts from the beginning, added up from the collector's summaries
    reading    all that is known at one moment: the book, and what the run tells of itself
    family     a metric: its name, kind, unit and labels, and what reads it off a reading
    otel, kar98k, volcanion    the metrics by their names; a metric is added in one place
    dialect    which metrics go by which names, with which buckets
    limit      so many series and no more; what is beyond goes to one called "other"
    text       as Prometheus reads it; server: where
    otlp       as the OpenTelemetry protocol has it; sender: whither

A reading is immutable. Whoever makes text of it may take its time, with checkpoints between, and
holds up nobody: that is what keeps a scrape from bending the load.
"""
