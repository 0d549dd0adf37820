"""What people are told of an equipment's use is what is so just now."""

from monitor.alarms.usage import Load, SetState
from monitor.alarms.usages import Usages
from monitor.messages import rfc3339
from monitor.operators import used
from monitor.operators.protocol import LoadedMessage, UsageMessage
from tests.monitor.alarms.small_plant import MINUTE, NOON, moment
from tests.monitor.alarms.used_plant import CLEANING, IDLE, LONGEST, SILENT, USED, panel, used_plant

PLANT = used_plant()


def told(usages: Usages, name: str, seconds: float = 0) -> UsageMessage:
    return used.usage(PLANT, name, usages[name], moment(seconds))


def test_an_equipment_of_which_nothing_was_ever_said() -> None:
    message = told(Usages(PLANT, {}, moment(0)), SILENT)
    assert message.model_dump(by_alias=True) == {
        "schema": "cytowatch.usage.v1",
        "equipment": SILENT,
        "kind": "incubator",
        "area": "suite-a",
        "state": "in_use",
        "since": None,
        "cause": "default",
        "told": "",
        "user": "",
        "reason": "",
        "until": None,
        "suppressing_until": None,
        "suppressed": (),
        "phase": "",
        "batches": (),
    }


def test_what_a_channel_tells_and_what_is_inside() -> None:
    usages = Usages(PLANT, {}, moment(0))
    usages.observe(panel(1, True, "culture", "cip"))
    usages.act(USED, Load("B-1", "shelf 2"), moment(2))
    message = told(usages, USED, 3)
    assert (message.state, message.cause, message.phase) == (CLEANING, "channel", "cip")
    assert message.told == "decontamination: running"
    assert message.since == rfc3339(moment(1).at)
    assert message.suppressing_until == rfc3339(moment(1).at + LONGEST)
    loaded = LoadedMessage(batch="B-1", position="shelf 2", since=rfc3339(moment(2).at))
    assert message.batches == (loaded,)
    usages.look(moment(1 + LONGEST / 10**9))
    assert told(usages, USED).suppressing_until is None, "it has suppressed for long enough"


def test_what_an_act_says_and_until_when() -> None:
    usages = Usages(PLANT, {}, moment(0))
    usages.act(USED, SetState(CLEANING, "kim", "a spill", 5 * MINUTE), moment(0))
    message = told(usages, USED)
    assert (message.cause, message.user, message.reason) == ("act", "kim", "a spill")
    assert message.until == rfc3339(NOON + 5 * MINUTE)
    usages.act(USED, SetState(IDLE, "kim", "released"), moment(1))
    assert (told(usages, USED).until, told(usages, USED).suppressing_until) == (None, None)
