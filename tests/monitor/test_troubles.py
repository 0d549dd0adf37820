from dataclasses import replace
from pathlib import Path

from config.lines import OpcUa, OpcUaLine
from config.rules import Priority, Silent
from config.site import InfluxDb, Mqtt, Notify, Tls
from monitor.troubles import MINUTE, gateway_rules
from tests.monitor.hand import small_plant

INFLUXDB = InfluxDb(url="http://127.0.0.1:1")
MQTT = Mqtt(host="127.0.0.1")
ALWAYS = [
    "clock-unsynchronised",
    "disk-filling",
    "disk-full",
    "points-skipped",
    "store-damaged",
    "store-spoilt",
    "values-dropped",
]


def test_a_gateway_that_delivers_nothing_still_knows_its_store_and_its_lines() -> None:
    assert sorted(gateway_rules(small_plant())) == sorted(ALWAYS)


def test_readings_wait_and_are_lost_only_where_a_database_is() -> None:
    rules = gateway_rules(replace(small_plant(), mqtt=MQTT))
    assert sorted(rules) == sorted([*ALWAYS, "alarms-unheard", "messages-too-large", "sink-mqtt"])
    rules = gateway_rules(replace(small_plant(), influxdb=INFLUXDB))
    readings = ["points-ageing", "points-refused", "sink-influxdb", "store-filling", "store-losing"]
    assert sorted(rules) == sorted([*ALWAYS, *readings])


def test_a_sink_that_is_away_for_long_is_an_alarm_of_the_gateway() -> None:
    rules = gateway_rules(replace(small_plant(), influxdb=INFLUXDB, mqtt=MQTT))
    for name in ("sink-influxdb", "sink-mqtt"):
        rule = rules[name]
        assert isinstance(rule, Silent)
        assert (rule.on_delay, rule.priority) == (MINUTE, Priority.HIGH)


def test_each_database_and_the_certificate_that_it_is_trusted_by_has_its_alarm() -> None:
    other = INFLUXDB.model_copy(update={"name": "archive", "ca_file": Path("/etc/ca.pem")})
    rules = gateway_rules(replace(small_plant(), influxdb=INFLUXDB, other_databases=(other,)))
    assert {"sink-influxdb", "sink-archive", "certificate-archive-ca"} <= rules.keys()
    assert "database" in rules["certificate-archive-ca"].response


def test_who_owes_receipts_is_an_alarm_of_his_own() -> None:
    mqtt = Mqtt.model_validate({"host": "127.0.0.1", "receipts": {"from": ["scada", "pager"]}})
    rules = gateway_rules(replace(small_plant(), mqtt=mqtt))
    assert {"receipts-scada", "receipts-pager"} <= rules.keys()
    assert "pager does not say that it has the alarms" in rules["receipts-pager"].response
    assert "requests-unheard" in rules, "they come the way that requests come"


def test_that_no_request_reaches_us_is_an_alarm_where_they_are_wanted() -> None:
    mqtt = Mqtt(host="127.0.0.1", commands=True)
    assert "requests-unheard" in gateway_rules(replace(small_plant(), mqtt=mqtt))


def test_the_clocks_behind_a_line_are_a_trouble_where_devices_give_times() -> None:
    opcua = OpcUa(endpoint="opc.tcp://127.0.0.1:4840")
    plant = small_plant()
    lines = {**plant.lines, "hall": OpcUaLine(name="hall", opcua=opcua)}
    assert gateway_rules(replace(plant, lines=lines)).keys() - set(ALWAYS) == {"skew-hall"}


def test_that_the_last_resort_fails_is_an_alarm_where_there_is_one() -> None:
    rules = gateway_rules(replace(small_plant(), notify=Notify(command=("/bin/siren",))))
    assert "notify-failed" in rules


def test_every_trouble_is_explained() -> None:
    docs = Path(__file__).parents[2] / "docs"
    told, topics = ((docs / name).read_text("utf-8") for name in ("health.md", "messages.md"))
    ca = Path("/ca.pem")
    tls = Tls(ca_file=ca, cert_file=ca, key_file=ca)
    mqtt = Mqtt(host="127.0.0.1", tls=tls, commands=True)
    influxdb = InfluxDb(url="https://x", ca_file=ca)
    notify = Notify(command=("/bin/siren",))
    rules = gateway_rules(replace(small_plant(), influxdb=influxdb, mqtt=mqtt, notify=notify))
    assert [name for name in rules if f"`{name}`" not in told] == []
    assert "`certificate-{which}`" in topics
    named = [name for name in rules if not name.startswith("certificate-")]
    assert [name for name in named if f"`{name}`" not in topics] == []


def test_every_trouble_says_what_to_do() -> None:
    rules = gateway_rules(replace(small_plant(), influxdb=INFLUXDB, mqtt=MQTT))
    assert all(rule.response and rule.name == name for name, rule in rules.items())
