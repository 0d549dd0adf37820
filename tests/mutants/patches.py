"""The mutants: each breaks one promise on purpose, by a few words, and names who must notice.

``before`` stands exactly once in its file; when the code has moved on, the mutant has to follow.
"""

from typing import NamedTuple

_STORE, _SINKS, _ALARMS = (f"tests/monitor/{name}" for name in ("store", "sinks", "alarms"))
_SWEEP = f"{_STORE}/test_sweep.py"
_POWER = f"{_SWEEP}::test_whenever_the_power_is_lost_nothing_acknowledged_is_missing"


class Mutant(NamedTuple):
    """A few words that break a promise."""

    name: str
    promise: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    """What pytest is told to run; at least one of them must fail."""


MUTANTS = (
    Mutant(
        "synchronous-normal",
        "what is acknowledged survives a power cut",
        "monitor/store/schema.py",
        '"synchronous = FULL"',
        '"synchronous = NORMAL"',
        (f"{_STORE}/test_database.py::test_a_commit_is_on_the_disk_before_it_is_acknowledged",),
    ),
    Mutant(
        "folder-not-flushed",
        "a new store's folder survives a power cut",
        "monitor/store/sync.py",
        "    for each in new:\n        sync(each.parent)\n",
        "",
        (f"{_POWER}[new]",),
    ),
    Mutant(
        "old-log-beside-the-compacted",
        "compacting that a power cut ends leaves one of the two, whole",
        "monitor/store/compact.py",
        "        sync(path.parent)  # The old log beside the new file would spoil it.\n",
        "",
        (f"{_POWER}[compacted]",),
    ),
    Mutant(
        "compacted-name-not-flushed",
        "what is said to be compacted is",
        "monitor/store/compact.py",
        "        new.rename(path)\n        sync(path.parent)\n",
        "        new.rename(path)\n",
        (f"{_POWER}[compacted]",),
    ),
    Mutant(
        "old-log-beside-the-salvaged",
        "a salvaged store gets nothing of the damaged one's log",
        "monitor/store/salvage.py",
        "    sync(path.parent)\n    with suppress(",
        "    with suppress(",
        (f"{_POWER}[foreign]",),
    ),
    Mutant(
        "salvaged-name-not-flushed",
        "salvaging that a power cut ends is done again",
        "monitor/store/salvage.py",
        "    new.rename(path)\n    sync(path.parent)\n",
        "    new.rename(path)\n",
        (f"{_POWER}[salvaged]",),
    ),
    Mutant(
        "backup-not-flushed",
        "what bears the name of a backup is whole",
        "monitor/store/backup.py",
        "        os.fsync(descriptor)\n",
        "",
        (f"{_POWER}[copied]",),
    ),
    Mutant(
        "archive-not-flushed",
        "what bears the name of an archive is whole",
        "monitor/store/packing.py",
        "            os.fsync(file.fileno())\n",
        "",
        (f"{_POWER}[archived]",),
    ),
    Mutant(
        "found-log-not-flushed",
        "what a killed daemon left unflushed is told when it is on the disk",
        "monitor/store/opening.py",
        "    if log.exists():\n        sync(log)\n",
        "",
        (f"{_SWEEP}::test_what_a_killed_daemon_had_not_synced_is_synced_before_it_is_told",),
    ),
    Mutant(
        "note-gone-before-the-names",
        "salvaging that was killed is done when a power cut follows",
        "monitor/store/salvage.py",
        "    sync(path.parent)  # The note, and",
        "    # The note, and",
        (f"{_SWEEP}::test_what_a_killed_daemon_had_not_synced_is_synced_before_it_is_told",),
    ),
    Mutant(
        "half-a-transaction",
        "a commit that fails leaves nothing half",
        "monitor/store/database.py",
        'self._db.execute("ROLLBACK")',
        'self._db.execute("COMMIT")',
        (f"{_STORE}/test_database.py", f"{_STORE}/test_store.py"),
    ),
    Mutant(
        "told-before-the-commit",
        "nobody is told what is not on the disk",
        "monitor/recorder.py",
        "            await self._store(tick)\n",
        "            self._stand(untold)\n            for future in waiting:\n"
        "                future.set_result(None)\n            await self._store(tick)\n",
        ("tests/monitor/test_desk.py", "tests/monitor/test_recorder.py"),
    ),
    Mutant(
        "events-out-of-order",
        "the store refuses events that leave a hole",
        "monitor/store/database.py",
        "        self._check_order(tick)\n",
        "",
        (f"{_STORE}/test_store.py",),
    ),
    Mutant(
        "two-daemons",
        "one store has one daemon",
        "monitor/store/opening.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        (f"{_STORE}/test_store.py",),
    ),
    Mutant(
        "unseen-tampering",
        "readings that were changed by hand are found",
        "monitor/store/strands.py",
        "if sha256 != entry.sha256:",
        "if False:",
        (f"{_STORE}/test_verify.py",),
    ),
    Mutant(
        "ignored-reason-code",
        "a publish that the broker refuses is not delivered",
        "monitor/sinks/broker.py",
        "if _value(reason_code) >= _FAILURE:",
        "if False:",
        (f"{_SINKS}/test_mqtt.py::test_a_refused_publish_is_a_loss_and_moves_no_cursor",),
    ),
    Mutant(
        "dropped-re-assertion",
        "a broker that forgot is told again how things stand",
        "monitor/sinks/mqtt.py",
        "self._owed = await self._states()",
        "self._owed = {}",
        (f"{_SINKS}/test_mqtt.py",),
    ),
    Mutant(
        "cursor-before-the-broker",
        "the cursor moves when the broker has accepted",
        "monitor/sinks/mqtt.py",
        "        codes = await self._send(broker, [each for pair in pairs",
        '        self._outbox.confirm(self.name, "events", events[-1].number)\n'
        "        codes = await self._send(broker, [each for pair in pairs",
        (f"{_SINKS}/test_mqtt.py",),
    ),
    Mutant(
        "receipt-taken-as-all",
        "a receipt is for what it says and for nothing after it",
        "monitor/sinks/receipts.py",
        'self._outbox.confirm(user, "receipts", seq)',
        'self._outbox.confirm(user, "receipts", self._outbox.last.seq)',
        (f"{_SINKS}/test_receipts.py",),
    ),
    Mutant(
        "cursor-before-the-database",
        "the cursor moves when the database has answered",
        "monitor/sinks/influx.py",
        "        self._sent[stream] = batch\n",
        "        self._sent[stream] = batch\n        self._move(stream, batch.upto, 0.0)\n",
        (f"{_SINKS}/test_influx.py",),
    ),
    Mutant(
        "poison-thrown-away",
        "a line that is refused for good is kept with the server's words",
        "monitor/sinks/influx.py",
        "        await self._outbox.dead_letter(self.name, line, words)\n",
        "",
        (f"{_SINKS}/test_influx.py",),
    ),
    Mutant(
        "captive-portal",
        "only 204 means written",
        "monitor/sinks/answers.py",
        "        case 204:\n",
        "        case 200 | 204:\n",
        (f"{_SINKS}/test_answers.py",),
    ),
    Mutant(
        "bad-data-clears",
        "bad data never ends an alarm",
        "monitor/alarms/verdict.py",
        "    if stimulus.value is None or not usable(stimulus):\n        return Verdict.UNKNOWN",
        "    if stimulus.value is None or not usable(stimulus):\n        return Verdict.CLEAR",
        (f"{_ALARMS}/test_verdict.py", f"{_ALARMS}/test_engine.py"),
    ),
    Mutant(
        "doubtful-data-clears",
        "a doubtful reading may begin an alarm and not end it",
        "monitor/alarms/verdict.py",
        "doubted = stimulus.quality is Quality.UNCERTAIN and said is not Verdict.BEYOND",
        "doubted = False",
        (f"{_ALARMS}/test_verdict.py", f"{_ALARMS}/test_engine.py"),
    ),
    Mutant(
        "no-deadband",
        "an alarm returns past its deadband only",
        "monitor/alarms/verdict.py",
        "return rule.limit - rule.deadband",
        "return rule.limit",
        (f"{_ALARMS}/test_verdict.py", f"{_ALARMS}/test_engine.py"),
    ),
    Mutant(
        "on-delay-that-forgets",
        "an on-delay counts from the first reading beyond",
        "monitor/alarms/engine.py",
        "return _doubting(alarm, pending, doubtful=False)",
        "return alarm._replace(pending=Pending(since))",
        (f"{_ALARMS}/test_engine.py",),
    ),
    Mutant(
        "restart-that-forgets-a-delay",
        "an on-delay goes on over a restart",
        "monitor/alarms/snapshot.py",
        '    if "pending" in saved:\n',
        '    if "pending" in saved and not saved:\n',
        (f"{_ALARMS}/test_snapshot.py", "tests/monitor/test_recorder.py"),
    ),
    Mutant(
        "one-occurrence-for-all",
        "each raise is an occurrence of its own",
        "monitor/alarms/engine.py",
        "occurrence=alarm.occurrence + 1,",
        "occurrence=alarm.occurrence or 1,",
        (f"{_ALARMS}/test_engine.py",),
    ),
    Mutant(
        "chatter-that-never-escalates",
        "an alarm that comes and goes escalates as one that stays",
        "monitor/alarms/engine.py",
        "        re_alarms=0,\n",
        "        re_alarms=0,\n        unacknowledged_since=None,\n",
        (f"{_ALARMS}/test_engine_transitions.py",),
    ),
    Mutant(
        "escalation-that-nobody-is-told",
        "the priority of a message is what the alarm has escalated to",
        "monitor/describe.py",
        "rule.priority_after(alarm.escalations)",
        "rule.priority",
        ("tests/monitor/test_describe.py",),
    ),
    Mutant(
        "area-without-crossing",
        "an excursion's area begins where the line crosses the limit",
        "monitor/excursions/segment.py",
        "    time = outer / abs(after - before) * span\n",
        "    time = span\n",
        ("tests/monitor/excursions/test_segment.py", "tests/monitor/excursions/test_ledger.py"),
    ),
    Mutant(
        "late-reply-believed",
        "a late reply is never the next value",
        "drivers/modbus/frame.py",
        "if frame[:2] == self._awaited:",
        "if self._awaited:",
        ("tests/drivers/modbus/test_frame.py", "tests/drivers/modbus/test_line.py"),
    ),
    Mutant(
        "no-number-is-a-value",
        "what is no number has no value",
        "drivers/modbus/decode.py",
        "not self._sentinels and isfinite(sum(values)):",
        "not self._sentinels:",
        ("tests/drivers/modbus/test_decode.py",),
    ),
    Mutant(
        "old-values-after-a-loss",
        "a new session believes nothing of the old one",
        "drivers/opcua/held.py",
        "bad(Reason.NOT_PROVEN))",
        "None)",
        ("tests/drivers/opcua/test_held.py",),
    ),
    Mutant(
        "clock-step-unseen",
        "a step of the clock is a new epoch, on the record",
        "monitor/clock.py",
        "    if abs(ahead) <= TOLERANCE:\n",
        "    if abs(ahead) <= 10**18:\n",
        ("tests/monitor/test_clock.py",),
    ),
    Mutant(
        "retained-request-taken",
        "a retained request does nothing",
        "monitor/operators/envelopes.py",
        "    if retained:\n",
        "    if retained and not payload:\n",
        ("tests/monitor/operators/test_commands.py",),
    ),
    Mutant(
        "replay-taken",
        "a nonce serves one request",
        "monitor/operators/commands.py",
        "if self._nonces[key][0] != body.request_id:",
        "if False:",
        ("tests/monitor/operators/test_commands.py",),
    ),
)
