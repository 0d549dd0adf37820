"""``run``: the daemon itself."""

import faulthandler
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

import click

from monitor.cli.exits import CONFIG, IO_ERROR, UNAVAILABLE, Failure

if TYPE_CHECKING:
    from config.plant import Plant
    from monitor.app import NewLoop


@click.command()
@click.option(
    "--config", "-c", "file", required=True, type=click.Path(path_type=Path),
    envvar="CYTOWATCH_CONFIG", show_envvar=True, help="The site's file.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="Over file and environment, such as mqtt.port=1884; may be given again.",
)  # fmt: skip
@click.option(
    "--loop", type=click.Choice(["asyncio", "uvloop"]), default="asyncio", show_default=True,
    help="What turns the event loop; uvloop is an extra to be installed, and costs less CPU.",
)  # fmt: skip
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
@click.pass_context
def run(
    ctx: click.Context,
    file: Path,
    settings: tuple[str, ...],
    loop: Literal["asyncio", "uvloop"],
    verbose: bool,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; it logs to stderr."""
    _log_to_stderr(logging.DEBUG if verbose else logging.INFO)
    new_loop = _new_loop(loop)
    ctx.exit(_run(load_plant(file, settings), new_loop))


def _log_to_stderr(level: int) -> None:
    """Log in words, or with the journal's priorities; and leave the stacks when we are aborted."""
    from monitor.cli.log import Log
    from monitor.systemd import Formatter, JournalFormatter, to_journal

    handler = Log()
    if to_journal():
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    if not faulthandler.is_enabled():
        faulthandler.enable()


def load_plant(file: Path, settings: tuple[str, ...] = ()) -> "Plant":
    """Load a site's file; raises ``Failure`` (78) with every problem."""
    from config.load import load
    from config.problems import ConfigError

    try:
        return load(file, overrides=dict(_pair(text) for text in settings))
    except ConfigError as error:
        raise Failure("\n".join(str(problem) for problem in error.problems), CONFIG) from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text}: write NAME=VALUE", param_hint="--set")
    return name, value


def _new_loop(name: Literal["asyncio", "uvloop"]) -> "NewLoop":
    match name:
        case "asyncio":
            import asyncio

            return asyncio.new_event_loop
        case "uvloop":
            try:
                import uvloop
            except ImportError as error:
                raise Failure(
                    "uvloop is not installed; pip install 'cytowatch[fast]', or leave out --loop",
                    UNAVAILABLE,
                ) from error
            return uvloop.new_event_loop
        case _:
            assert_never(name)


def _run(plant: "Plant", new_loop: "NewLoop") -> int:
    from config.problems import ConfigError
    from monitor import app
    from monitor.ending import OS_ERROR, out_of_memory
    from monitor.operators.address import SocketError
    from monitor.store.errors import StoreError
    from monitor.threads import NoThreadError

    try:
        return app.main(plant, new_loop)
    except MemoryError:
        out_of_memory()
    except NoThreadError as error:
        raise Failure(str(error), OS_ERROR) from error
    except ConfigError as error:
        raise Failure(str(error), CONFIG) from error
    except SocketError as error:
        raise Failure(str(error), UNAVAILABLE) from error
    except StoreError as error:
        raise Failure(str(error), IO_ERROR) from error
    except BaseExceptionGroup as group:
        store, rest = group.split(StoreError)
        if store is None or rest is not None:
            raise
        said = "; ".join(str(error) for error in store.exceptions)
        raise Failure(said, IO_ERROR) from group
