"""Whether what a run is to write has a place, asked before anything is started."""

import pathlib
from collections.abc import Iterator

from flux.config.problems import InvalidPipeline, Problem, report
from flux.errors import StorageFailed
from flux.pipeline import Pipeline
from flux.storage import check_folder


def check_places(pipeline: Pipeline) -> None:
    """Look for the folders of files that are written outside of the run's own.

    Raises:
        InvalidPipeline: some are not there.
    """
    problems = list(_problems(pipeline))
    if problems:
        document = pipeline.document
        raise InvalidPipeline(report(problems, document.source, document.values), problems)


def _problems(pipeline: Pipeline) -> Iterator[Problem]:
    for node in pipeline.nodes:
        path = getattr(node.stage, "path", None)
        if node.kind == "sink" and isinstance(path, str) and pathlib.Path(path).is_absolute():
            try:
                check_folder(pathlib.Path(path))
            except StorageFailed as error:
                yield Problem((*node.path, "path"), "must be in a folder that is there", error.hint)
