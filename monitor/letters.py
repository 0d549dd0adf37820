"""What is done about dead letters: each is offered to its database anew, or dropped for a reason.

A letter leaves the record only when the database has taken it, or when somebody who may has said
that it is to go; either is an act on the record, with the line, and the mended one where it was
mended. Cut off in between, the letter is still there, and offered again it is the same point.
"""

from collections.abc import Sequence

from monitor.acts import Acts
from monitor.alarms.facts import Refusal
from monitor.messages import Actor
from monitor.operators.protocol import AskLetter, LetterReply
from monitor.recorder import Recorder
from monitor.sinks.base import Redelivery, SinkLost
from monitor.sinks.lines import fault
from monitor.store.reader import DeadLetter


class Letters:
    """Does what operators ask about dead letters."""

    def __init__(self, recorder: Recorder, acts: Acts, databases: Sequence[Redelivery]) -> None:
        self._recorder = recorder
        self._acts = acts
        self._databases = {database.name: database for database in databases}

    async def settle(self, ask: AskLetter, actor: Actor) -> LetterReply:
        """Offer or drop one letter; returns when what was done is on the record.

        Who may have events published again (``resend``) may do this.
        """
        allowed = self._acts.allowed(actor, "resend")
        if isinstance(allowed, Refusal):
            return _reply(ask, "refused", allowed.text)
        letter = await self._recorder.store.find_dead_letter(ask.id)
        if letter is None:
            return _reply(ask, "unknown", "there is no dead letter of this number")
        if ask.act == "drop":
            return await self._drop(letter, ask, allowed)
        return await self._offer(letter, ask, allowed)

    async def _drop(self, letter: DeadLetter, ask: AskLetter, actor: Actor) -> LetterReply:
        if not ask.reason.strip():
            return _reply(ask, "refused", "say why it is to go (--reason)")
        await self._end(letter, "drop_dead_letter", ask, actor)
        return _reply(ask, "dropped", "")

    async def _offer(self, letter: DeadLetter, ask: AskLetter, actor: Actor) -> LetterReply:
        line = letter.line if ask.line is None else ask.line.encode()
        database = self._databases.get(letter.sink)
        if database is None:
            return _reply(
                ask, "refused", f"{letter.sink} is in the file no more; it can be dropped"
            )
        if ask.line is not None and (wrong := _wrong(ask, line)):
            return _reply(ask, "refused", wrong)
        try:
            refused = await database.offer(line)
        except SinkLost as error:
            return _reply(ask, "away", str(error))
        if refused:
            return _reply(ask, "refused", refused)
        await self._end(letter, "replay_dead_letter", ask, actor)
        return _reply(ask, "taken", "")

    async def _end(self, letter: DeadLetter, act: str, ask: AskLetter, actor: Actor) -> None:
        mended = {} if ask.line is None else {"mended": ask.line}
        body = {
            "act": act,
            "letter": letter.id,
            "sink": letter.sink,
            "line": letter.line.decode(errors="replace"),
            **mended,
            "reason": ask.reason,
            **actor.told(),
        }
        self._recorder.note("act", self._recorder.plant.gateway, body)
        await self._recorder.committed()
        await self._recorder.store.end_dead_letter(letter.id)


def _wrong(ask: AskLetter, line: bytes) -> str:
    if not ask.reason.strip():
        return "say why the line is another than it was (--reason)"
    wrong = fault(line)
    return f"this is no line protocol: {wrong}" if wrong else ""


def _reply(ask: AskLetter, result: str, text: str) -> LetterReply:
    return LetterReply.model_validate({"id": ask.id, "result": result, "text": text})
