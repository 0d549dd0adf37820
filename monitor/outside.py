"""The two pages by which the watching is watched from outside: ``/metrics`` and ``/health``.

``/health`` answers also when the store does not: it says what the watchdog saw, in its words.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from monitor import VERSION
from monitor.exposition import CONTENT_TYPE, exposition
from monitor.metrics import Metrics
from monitor.operators.protocol import HealthMessage
from monitor.store import StoreError
from monitor.supervise import Outage
from monitor.watchdog import Watchdog
from monitor.web import Answer, Page, plain

PATIENCE = 5.0
"""Seconds that the store may take to say how it is; a scraper waits for ten."""


@dataclass(frozen=True)
class Outside:
    """What is shown to who asks from outside."""

    metrics: Metrics
    watchdog: Watchdog

    def pages(self) -> Mapping[str, Page]:
        """Return the pages by their path."""
        return {"/metrics": self.tell_figures, "/health": self.tell_health}

    async def tell_figures(self) -> Answer:
        """Answer with all figures."""
        try:
            async with asyncio.timeout(PATIENCE):
                families = await self.metrics.families()
        except TimeoutError:
            words = f"the store has not said how it is for {PATIENCE:.0f} s"
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, words)
        except StoreError as error:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return Answer(HTTPStatus.OK, CONTENT_TYPE, exposition(families))

    async def tell_health(self) -> Answer:
        """Answer whether all is well: 200, or 503 with the reasons."""
        plant, outages = self.metrics.recorder.plant, self.metrics.outages
        reasons = self.watchdog.reasons(asyncio.get_running_loop().time())
        message = HealthMessage(
            site=plant.site,
            gateway=plant.gateway,
            version=VERSION,
            well=not reasons,
            reasons=tuple(reasons),
            lines_down=_down(outages["line"]),
            sinks_down=_down(outages["sink"]),
        )
        status = HTTPStatus.OK if message.well else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, "application/json", message.model_dump_json(by_alias=True) + "\n")


def _down(outages: Sequence[Outage]) -> tuple[str, ...]:
    return tuple(outage.name for outage in outages if not outage.held)
