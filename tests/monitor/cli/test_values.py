from drivers.reading import Fault, Quality, Reason, Scan
from tests.monitor.cli.conftest import Gateway, lines
from tests.support.desk import NOON, SECOND


def test_values(gateway: Gateway) -> None:
    fault = {0: Fault(Quality.BAD, Reason.TIMED_OUT)}
    gateway.desk.latest[0] = Scan(0, NOON, 998 * SECOND, (None, True), faults=fault)
    result = gateway.ask("values", "incubator-07")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["incubator-07/co2", "-", "%", "2.0", "s", "bad", "(timed_out)"],
        ["incubator-07/door", "open", "2.0", "s", "good"],
    ]
    [co2] = lines(gateway.ask("values", "incubator-08/co2", "--json").stdout)
    assert co2["reason"] == "not_read_yet"
