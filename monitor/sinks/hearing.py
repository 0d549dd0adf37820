"""Whether what is published for us reaches us: a probe of our own goes round through the broker.

A broker may grant a subscription and hand on nothing, as Mosquitto does whose access list forbids
the reading; nobody could acknowledge then, and nothing would say so. A probe goes out with each
connection and every now and then: when it does not come back, we do not hear.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable

from monitor.sinks.base import Gateway
from monitor.sinks.broker import Refused
from monitor.sinks.topics import Publication, probe

Publish = Callable[[Publication], Awaitable[object]]

log = logging.getLogger(__name__)


class Hearing:
    """Knows whether requests and receipts reach us."""

    def __init__(self, gateway: Gateway, user: str, patience: float) -> None:
        self.topic = probe(*gateway, user)
        """Where the probe goes."""
        self.unheard: bool | None = None
        """Whether it does not come back; None: that is not known just now."""
        self.words = ""
        """What is the matter; empty while all is well or nothing is known yet."""
        self._gateway = gateway.name
        self._patience = patience
        self._probe: bytes | None = None
        self._back = asyncio.Event()

    async def prove(self, publish: Publish) -> None:
        """Send a probe round, and know better; raises SinkLost when the connection is lost."""
        self._back.clear()
        said = {"gateway": self._gateway, "probe": secrets.token_hex(8)}
        self._probe = json.dumps({"schema": "cytowatch.probe.v1", **said}).encode()
        try:
            await publish(Publication(self.topic, self._probe))
        except Refused as error:
            self._know(None, f"cannot tell whether requests reach us: {error}")
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._back.wait()
        except TimeoutError:
            self.fail(
                f"the broker lets us subscribe, and does not hand on what goes to {self.topic}: "
                "let our user read cmd/# there"
            )

    def came(self, payload: bytes) -> None:
        """Take note of a probe that came in; one of another gateway, or an old one, is nothing."""
        if payload == self._probe:
            self._back.set()
            self._know(False, "")  # noqa: FBT003 - it is known not to be so

    def fail(self, words: str) -> None:
        """Take note that requests cannot reach us, and why."""
        self._know(True, f"no request or receipt reaches us: {words}")  # noqa: FBT003 - as above

    def forget(self) -> None:
        """The connection is gone: until the next probe nobody knows."""
        self.unheard = self._probe = None

    def _know(self, unheard: bool | None, words: str) -> None:  # noqa: FBT001 - one of three
        self.unheard = unheard
        if words == self.words:
            return
        self.words = words
        if words:
            log.warning("%s; alarms are told all the same", words)
        else:
            log.info("requests and receipts reach us again")
