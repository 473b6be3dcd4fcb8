"""What a stage of another package imports: this module, and in its tests `flux.testing`.

What is named here stays, and changes as the changelog says; every other module of flux may change
with any release. The names, by what they are for (each says more itself, shapes, units and errors
included; `docs/plug-ins.md` has one whole plug-in of each kind):

    a generator     ArrivalGenerator, Gaps
    a shaper        Shaper, Times, Factors; with jumps: Profile, NO_CUTS, middle, multiplied
    a sink          Context, Run, Inbox, OUTCOME, SUMMARY, Rows, Summary, StepSummary, Flag,
                    NOT_STARTED, ErrorCode, ERROR_TEXTS, open_line_file, storing
    anything else   Source, Transform, Sink, Outbox, DEMAND, USERS, ARRIVAL, SAME, Schema
    its keys        Duration, Rate, Size, above, at_least, between, NotEmpty, Violation
    its errors      FluxError, StorageFailed
"""

from flux.arrivals import ArrivalGenerator, Gaps
from flux.config.problems import Violation
from flux.config.rules import NotEmpty, above, at_least, between
from flux.errors import FluxError, StorageFailed
from flux.row_writer import open_line_file
from flux.schemas import (
    ARRIVAL,
    DEMAND,
    ERROR_TEXTS,
    NOT_STARTED,
    OUTCOME,
    SAME,
    SUMMARY,
    USERS,
    ErrorCode,
    Flag,
    Rows,
    Schema,
)
from flux.shaping import NO_CUTS, Factors, Profile, Shaper, Times, middle, multiplied
from flux.stage import Context, Inbox, Outbox, Run, Sink, Source, Transform
from flux.storage import storing
from flux.summary import StepSummary, Summary
from flux.units import Duration, Rate, Size

__all__ = [
    "ARRIVAL",
    "DEMAND",
    "ERROR_TEXTS",
    "NOT_STARTED",
    "NO_CUTS",
    "OUTCOME",
    "SAME",
    "SUMMARY",
    "USERS",
    "ArrivalGenerator",
    "Context",
    "Duration",
    "ErrorCode",
    "Factors",
    "Flag",
    "FluxError",
    "Gaps",
    "Inbox",
    "NotEmpty",
    "Outbox",
    "Profile",
    "Rate",
    "Rows",
    "Run",
    "Schema",
    "Shaper",
    "Sink",
    "Size",
    "Source",
    "StepSummary",
    "StorageFailed",
    "Summary",
    "Times",
    "Transform",
    "Violation",
    "above",
    "at_least",
    "between",
    "middle",
    "multiplied",
    "open_line_file",
    "storing",
]
