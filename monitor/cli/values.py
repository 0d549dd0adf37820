"""``values``: what channels say now."""

from pathlib import Path

import click

from monitor.cli.options import json_option, socket_option


@click.command()
@click.argument("names", metavar="[EQUIPMENT[/CHANNEL]]...", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is new, until Ctrl-C.")
@json_option
@socket_option
def values(names: tuple[str, ...], follow: bool, as_json: bool, socket_path: Path) -> None:
    """Show what every channel says now, with its age and quality.

    --follow looks once a second; what a faster channel says in between is on the record.
    """
    from monitor.cli.client import ask, understood
    from monitor.cli.words import value_line
    from monitor.operators.protocol import ValueMessage, ValuesRequest

    for text in ask(socket_path, ValuesRequest(of=names, follow=follow)):
        click.echo(text if as_json else value_line(understood(ValueMessage, text)))
