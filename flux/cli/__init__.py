"""The `flux` command. Each subcommand is a module, imported only when it is called."""

import errno
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

import flux
from flux.config.problems import did_you_mean
from flux.errors import ExitCode, FluxError, is_interruption

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("flux.cli.run:run", "Run a pipeline, or a userflux YAML script."),
    "check": ("flux.cli.check:check", "Check pipeline files without running anything."),
    "plan": ("flux.cli.plan:plan", "Show the demand and the arrivals, with no clock or traffic."),
    "live": ("flux.cli.live:live", "Look at a run that is going on, and steer it."),
    "search": ("flux.cli.search:search", "Search the highest load that keeps the thresholds."),
    "results": ("flux.cli.results:results", "List, show, follow, remove and repair past runs."),
    "compare": ("flux.cli.compare:compare", "Compare runs, with confidence intervals and limits."),
    "stages": ("flux.cli.stages:stages", "List the installed stages."),
    "explain": ("flux.cli.explain:explain", "Explain a stage: its keys, and a runnable sample."),
    "report": ("flux.cli.report:report", "Write a report of a run: a page with charts, or text."),
    "convert": ("flux.cli.convert:convert", "Write a run in the format of another tool."),
    "schema": ("flux.cli.schema:schema", "Print the JSON Schema of a file that flux writes."),
    "gateway": ("flux.gateway.command:gateway", "Run the demo gateway, a target to learn with."),
}
"""Where each subcommand is, and its one line of help (so that `flux --help` imports none)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one, or a file in its place, gets a hint."""
        name = args[0] if args else ""
        if name not in COMMANDS and name.endswith((".toml", ".yml", ".yaml")):
            ctx.fail(f"no such command {name!r}; to run that file: flux run {name}")
        if name not in COMMANDS and not name.startswith("-"):
            hint = did_you_mean(name, COMMANDS) or f"there are {', '.join(COMMANDS)}"
            ctx.fail(f"no such command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; that nobody reads its output any more is no failure."""
        try:
            outcome = super().invoke(ctx)
            if sys.stdout is not None:  # it is None where flux was started with none
                sys.stdout.flush()
        except BrokenPipeError:
            # Here, as click would exit with 1. What is still buffered must go somewhere, or the
            # interpreter complains at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK
        return outcome


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(flux.__version__, message="flux %(version)s")
def group() -> None:
    """A load generator whose numbers can be trusted.

    A TOML file declares a pipeline: arrival generator → rate shapers → executor → collector →
    sinks. Start with: flux run pipelines/register.toml
    """


def invoke(arguments: list[str] | None = None) -> int:
    """Run the command line: its `ExitCode`; every expected error becomes one message on stderr."""
    try:
        outcome: Any = group.main(arguments, prog_name="flux", standalone_mode=False)
    except click.exceptions.Abort:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except FluxError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Files of results say where they are when they fail; what is left is stdout.
        click.echo("error: cannot write to stdout: No space left on device", err=True)
        return ExitCode.FAILURE
    except (KeyboardInterrupt, BaseExceptionGroup) as raised:
        if not is_interruption(raised):
            raise
        return _interrupted()
    return outcome if isinstance(outcome, int) else ExitCode.OK


def _interrupted() -> ExitCode:
    click.echo("interrupted", err=True)
    return ExitCode.INTERRUPTED
