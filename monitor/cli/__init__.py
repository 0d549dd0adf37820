"""The command line: ``cytowatch COMMAND``.

A command is loaded when it is named and imports what it needs when it runs, so that ``--help`` and
completion are there at once. stdout is data, stderr is talk.
"""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from monitor import VERSION
from monitor.cli.exits import INTERRUPTED, IO_ERROR, NOBODY_READS, Failure
from monitor.cli.terminal import guard

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run", "Run the daemon."),
    "check": ("check", "Check a site's file and say everything that is wrong with it."),
    "demo": ("demo", "Show it all on a simulated plant."),
    "tail": ("tail", "Show events as they happen."),
    "alarms": ("alarms", "Show what stands now."),
    "ack": ("acts", "Acknowledge alarms."),
    "confirm": ("acts", "Confirm that something was done about alarms."),
    "reset": ("acts", "Reset latched alarms."),
    "shelve": ("acts", "Silence an alarm for a time."),
    "unshelve": ("acts", "End a shelf early."),
    "out-of-service": ("acts", "Remove alarms from service for a time."),
    "in-service": ("acts", "Return alarms to service."),
    "comment": ("acts", "Put a comment on the record."),
    "equipment": ("equipment", "Show how equipment is used."),
    "set-state": ("equipment", "Say what an equipment is doing."),
    "load": ("equipment", "Say that a batch is in an equipment."),
    "unload": ("equipment", "Say that it is there no longer."),
    "excursions": ("excursions", "Show what lay beyond a limit, for how long and how far."),
    "alarm-test": ("alarm_test", "Walk an alarm through a test, and write its evidence."),
    "status": ("status", "Show how the gateway is."),
    "values": ("values", "Show what channels say now."),
    "export": ("export", "Write readings or events of a time span as CSV or JSON lines."),
    "replay": ("replay", "Show what a site's file would have told of recorded readings."),
    "store": ("store", "Look after the store."),
    "schema": ("check", "Print the JSON Schema of the site's file, for editors."),
}
"""By name: the module in which the command is, under its own name (``_`` for ``-``), and one line
on it."""

EPILOG = """\b
Exit codes: 0 done, 1 what was looked for is so or refused, 2 usage, 69 no daemon answers,
71 no thread or memory, 74 input or output failed, 77 not allowed, 78 configuration, 130 Ctrl-C.

\b
Completion, for bash (zsh and fish alike):
  eval "$(_CYTOWATCH_COMPLETE=bash_source cytowatch)"
"""


class Commands(click.Group):
    """Loads a command when it is named; lists them without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are met."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"monitor.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from ``COMMANDS``, so that help need not load them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; end quietly when nobody reads what it says any more."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _say_no_more()
            raise click.exceptions.Exit(NOBODY_READS) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _say_no_more()
            raise Failure("the disk that this is written to is full", IO_ERROR) from error


def _say_no_more() -> None:
    """See to it that what is still buffered does not fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from monitor.release import code

        click.echo(f"cytowatch {VERSION}\ncode {code()}")
        ctx.exit()


@click.command(cls=Commands, epilog=EPILOG)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
    help="Say the version, and the SHA-256 of the code that runs.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch the incubators of a plant: every reading kept, every excursion told."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` unless given) and return the exit code."""
    guard()
    args = None if arguments is None else list(arguments)
    try:
        result = cli.main(args, prog_name="cytowatch", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return result if isinstance(result, int) else 0
