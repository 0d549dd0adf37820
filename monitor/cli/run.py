"""``run``: the daemon itself."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.exits import CONFIG, IO_ERROR, UNAVAILABLE, Failure

if TYPE_CHECKING:
    from config.plant import Plant


@click.command()
@click.option(
    "--config", "-c", "file", required=True, type=click.Path(path_type=Path),
    envvar="CYTOWATCH_CONFIG", show_envvar=True, help="The site's file.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="Over file and environment, such as mqtt.port=1884; may be given again.",
)  # fmt: skip
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
@click.pass_context
def run(ctx: click.Context, file: Path, settings: tuple[str, ...], verbose: bool) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; it logs to stderr."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
    )
    ctx.exit(_run(load_plant(file, settings)))


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


def _run(plant: "Plant") -> int:
    from config.problems import ConfigError
    from monitor import app
    from monitor.operators.address import SocketError
    from monitor.store.errors import StoreError

    try:
        return app.main(plant)
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
