"""The lines: one connection each, and its limits. A union; a new wire is a new member."""

from typing import Annotated, Literal

from pydantic import Field

from config.model import Duration, Id, Model, Whole
from config.rules import RuleSetting

MILLISECOND = 10**6


class Modbus(Model):
    """How to reach a Modbus server, and what it can bear."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[Whole, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu-over-tcp"] = "tcp"
    connect_timeout: Duration = 5_000 * MILLISECOND
    timeout: Duration = 1_000 * MILLISECOND
    """From the request's first byte to the reply's last (ns)."""
    pause: Duration = 0
    """Silence that the server wants between a reply and the next request (ns)."""


class ModbusLine(Model):
    """A Modbus TCP host; the units behind it share its one connection."""

    name: Id
    modbus: Modbus
    on: tuple[Id, ...] = ()
    """The gateways that may own the line; empty: every gateway that reads the file."""
    silent: RuleSetting = RuleSetting()
    """How the alarm of a lost line differs from the default."""


Line = ModbusLine
