"""The pages, held to the code: every file, command line, key and table in them is tried."""

import ast
import inspect
import itertools
import pathlib
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import click
import pytest
import tomli
import trio
from trio.testing import MockClock

import flux.explain
from flux.cli import COMMANDS, group, invoke
from flux.clock import LiveClock
from flux.config.document import parse
from flux.config.problems import InvalidPipeline
from flux.config.structure import structure
from flux.engine import RunResult, run_pipeline
from flux.explain import Key, keys_of
from flux.graph import Settings
from flux.pipeline import Pipeline, compile_document
from flux.registry import find_stages
from flux.sample import runnable_sample
from flux.schemas import OUTCOME, ErrorCode
from flux.stage import Run, kind_of
from flux.think import ThinkTable

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in sorted(ROOT.glob("docs/**/*.md"))}
PAGES["README.md"] = (ROOT / "README.md").read_text()

STAGES = {name: entry.load() for name, entry in find_stages().items()}
BUILT_IN = [name for name, entry in find_stages().items() if entry.package == "userflux"]
