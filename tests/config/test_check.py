"""One fault in a good file, and exactly what is said of it."""

from pathlib import Path

import pytest

from tests.config.site_text import GOOD, REACTOR, loaded, problems, spoilt

HIGH = "{name: high, high: 37.5, deadband: 0.1}"
LOW = "{name: low, low: 36, deadband: 0.1}"
OWN = "{line: bus-1, unit: 1, profile: own, every: 1s}"
DOOR = "{door: {discrete: 6, names: {0: closed, 1: open}}}"
CO2 = "{input: 4, type: float32, order: CDAB, unit: ppm}"
LINE = "{name: bus-1, modbus: {host: 192.0.2.1}}"
SECRET = "{env: PW}"
AREA = "    area: lab"

FAULTS = {
    "unknown key": (
        AREA,
        "    area: lab\n    limts: x",
        ["22:5: equipment.0.limts: unknown key 'limts'; did you mean 'limits'?"],
    ),
    "duplicate key": (
        AREA,
        "    area: lab\n    area: lab",
        ["22:5: equipment.0.area: key 'area' is given twice (first at line 21)"],
    ),
    "a rule that is two": (
        HIGH,
        "{name: high, high: 37.5, low: 36, deadband: 0.1}",
        ["8:34: limits.warm.temperature.0.low: 'low' does not go with the other keys here"],
    ),
    "wrong type": (
        "unit: 1,",
        "unit: one,",
        ["24:29: equipment.0.sources.0.unit: should be a whole number (got 'one')"],
    ),
    "a boolean is no number": (
        "unit: 1,",
        "unit: true,",
        ["24:29: equipment.0.sources.0.unit: should be a number, not true or false"],
    ),
    "a number without unit is no duration": (
        "every: 1s",
        "every: 1",
        [
            (
                "24:53: equipment.0.sources.0.every: "
                "a duration is a number with a unit: 500ms, 1s, 2m, 8h, 7d"
            )
        ],
    ),
    "who settles for an hour does not watch": (
        "every: 1s",
        "every: 1s, settle: 1h",
        ["24:65: equipment.0.sources.0.settle: should be from 0ms to 15m"],
    ),
    "a tick of nothing": (
        "gateway: gw-1",
        "gateway: gw-1\nstore: {tick: 0s}",
        ["3:15: store.tick: should be from 100ms to 1m"],
    ),
    "a tick of days": (
        "gateway: gw-1",
        "gateway: gw-1\nstore: {tick: 2d}",
        ["3:15: store.tick: should be from 100ms to 1m"],
    ),
    "no time for a broker": (
        "user: me,",
        "user: me, timeout: 0s, keepalive: 20h, digest: 0s,",
        [
            "3:44: mqtt.timeout: should be from 1ms to 10m",
            "3:59: mqtt.keepalive: should be from 1s to 65535s",
            "3:72: mqtt.digest: should be from 10ms to 1h",
        ],
    ),
    "no time for a database": (
        "bucket: b,",
        "bucket: b, timeout: 0s,",
        ["4:62: influxdb.timeout: should be from 1ms to 10m"],
    ),
    "databases of one name": (
        'influxdb: {url: "http://127.0.0.1:8086", bucket: b, token: {credential: t}}',
        "influxdb: [{url: 'http://127.0.0.1:1', bucket: b}, {url: 'http://127.0.0.1:2'}]",
        [
            "4:52: influxdb.1: database 'influxdb' is there twice; give this one a name",
            "4:52: influxdb.1: needs a bucket (and an org) for v2, a database for v1 and v3",
        ],
    ),
    "a database of the broker's name": (
        "influxdb: {",
        "influxdb: {name: mqtt, ",
        ["4:18: influxdb.name: mqtt is the broker's; give the database another"],
    ),
    "a database of the command's name": (
        "influxdb: {",
        "influxdb: {name: notify, ",
        ["4:18: influxdb.name: notify is the command's that is run; give the database another"],
    ),
    "no database at all": (
        "influxdb: {",
        "influxdb: [] #",
        ["4:11: influxdb: should have at least 1 item in it, not none"],
    ),
    "too fast": (
        "every: 1s",
        "every: 5ms",
        ["24:53: equipment.0.sources.0.every: is too short: 20ms is the shortest period"],
    ),
    "unknown line": (
        "line: bus-1, unit: 1",
        "line: bus-2, unit: 1",
        ["24:16: equipment.0.sources.0.line: there is no line 'bus-2'; did you mean 'bus-1'?"],
    ),
    "unknown limit set": (
        "limits: warm",
        "limits: wram",
        ["22:13: equipment.0.limits: there is no limit set 'wram'; did you mean 'warm'?"],
    ),
    "unknown profile": (
        OWN,
        "{line: bus-1, unit: 1, profile: onw}",
        ["24:41: equipment.0.sources.0.profile: there is no profile 'onw'; did you mean 'own'?"],
    ),
    "unknown kind": (
        "kind: incubator",
        "kind: incubater",
        ["20:11: equipment.0.kind: there is no kind 'incubater'; did you mean 'incubator'?"],
    ),
    "unknown channel": (
        DOOR,
        "{dor: {discrete: 6}}",
        [
            (
                "27:20: equipment.0.sources.1.channels.dor: "
                "incubator has no channel 'dor' in the catalogue; did you mean 'door'?"
            )
        ],
    ),
    "unwatched channel": (
        "    co2: [{low",
        "    o2: [{low",
        [
            (
                "22:13: equipment.0.limits: "
                "limit set 'warm' watches 'o2', which no source here gives; did you mean 'co2'?"
            )
        ],
    ),
    "channel that no kind has": (
        "    co2: [{low",
        "    coo: [{low",
        ["10:5: limits.warm.coo: no kind has a channel 'coo'; did you mean 'co2'?"],
    ),
    "doubled line": (
        f"  - {LINE}",
        f"  - {LINE}\n  - {LINE}",
        ["18:12: lines.1.name: line 'bus-1' is there twice"],
    ),
    "doubled rule": (
        HIGH,
        f"{HIGH}\n      - {{name: high, high: 39}}",
        ["9:9: limits.warm.temperature.1: rule 'high' is there twice"],
    ),
    "rule with the name of a test": (
        HIGH,
        HIGH.replace("name: high", "name: test-high"),
        [
            (
                "8:16: limits.warm.temperature.0.name: rule 'test-high' cannot be called so: a name"
                " with 'test-' before it is that of its test"
            )
        ],
    ),
    "doubled source": (
        "unit: 2",
        "unit: 2\n        name: own-1",
        ["27:15: equipment.0.sources.1.name: source 'own-1' is there twice"],
    ),
    "doubled channel": (
        DOOR,
        "{co2: {input: 0, type: uint16}}",
        ["27:25: equipment.0.sources.1.channels.co2: channel 'co2' comes from source 0 already"],
    ),
    "limits crossed": (
        LOW,
        "{name: low, low: 38}",
        [
            "8:28: limits.warm.temperature.0.high: 37.5 is not above the low limit 38",
        ],
    ),
    "deadband past the opposite limit": (
        HIGH,
        "{name: high, high: 37.5, deadband: 1.5}",
        [
            (
                "8:44: limits.warm.temperature.0.deadband: "
                "can never clear: the deadband reaches the low limit 36"
            )
        ],
    ),
    "low deadband past the opposite limit": (
        LOW,
        "{name: low, low: 36, deadband: 2}",
        [
            (
                "9:40: limits.warm.temperature.1.deadband: "
                "can never clear: the deadband reaches the high limit 37.5"
            )
        ],
    ),
    "limit outside valid": (
        HIGH,
        "{name: high, high: 150}",
        [
            (
                "8:28: limits.warm.temperature.0.high: "
                "can never be raised: readings outside -50 to 150 Cel are bad"
            )
        ],
    ),
    "deadband past valid": (
        LOW,
        "{name: low, low: 36, deadband: 1}\n    dew_point: []\n    humidity: []",
        [
            (
                "24:13: equipment.0.limits: "
                "limit set 'warm' watches 'dew_point', which no source here gives"
            ),
            (
                "24:13: equipment.0.limits: "
                "limit set 'warm' watches 'humidity', which no source here gives"
            ),
        ],
    ),
    "limit on a state": (
        "    co2: [{low",
        "    door: [{high: 1}]\n    co2: [{low",
        ["10:19: limits.warm.door.0.high: a state has no high limit"],
    ),
    "a state that is not there": (
        "    co2: [{low",
        "    door: [{off_normal: [opne]}]\n    co2: [{low",
        [
            (
                "10:26: limits.warm.door.0.off_normal.0: "
                "there is no state 'opne'; did you mean 'open'?"
            ),
        ],
    ),
    "a state that is like no other": (
        "    co2: [{low",
        "    door: [{normal: [closed, x]}]\n    co2: [{low",
        [
            "10:30: limits.warm.door.0.normal.1: there is no state 'x'; there are closed, open",
        ],
    ),
    "all states are off-normal": (
        "    co2: [{low",
        "    door: [{off_normal: [open, closed]}]\n    co2: [{low",
        [
            (
                "10:25: limits.warm.door.0.off_normal: "
                "can never clear: these are all states that there are"
            ),
        ],
    ),
    "all states are normal": (
        "    co2: [{low",
        "    door: [{normal: [open, closed]}]\n    co2: [{low",
        [
            (
                "10:21: limits.warm.door.0.normal: "
                "can never be raised: these are all states that there are"
            ),
        ],
    ),
    "no state is off-normal": (
        "    co2: [{low",
        "    door: [{off_normal: []}]\n    co2: [{low",
        [
            "10:25: limits.warm.door.0.off_normal: should have at least 1 item in it, not none",
        ],
    ),
    "normal and off-normal": (
        "    co2: [{low",
        "    door: [{off_normal: [open], normal: [closed]}]\n    co2: [{low",
        [
            (
                "10:41: limits.warm.door.0.normal: "
                "normal and off_normal are two ways to say it: give one"
            ),
        ],
    ),
    "a state that is also high": (
        "    co2: [{low",
        "    door: [{high: 1, off_normal: [open]}]\n    co2: [{low",
        [
            "10:19: limits.warm.door.0.high: a state has no high limit",
            (
                "10:22: limits.warm.door.0.off_normal: "
                "'off_normal' does not go with the other keys here"
            ),
        ],
    ),
    "a state by its number": (
        "    co2: [{low",
        "    door: [{off_normal: [1]}]\n    co2: [{low",
        [
            (
                "10:26: limits.warm.door.0.off_normal.0: "
                "should be text (in quotes, if it looks like a number)"
            ),
        ],
    ),
    "a state has no deadband": (
        "    co2: [{low",
        "    door: [{off_normal: [open], deadband: 1}]\n    co2: [{low",
        [
            "10:33: limits.warm.door.0.deadband: 'deadband' does not go with the other keys here",
        ],
    ),
    "doubled off-normal": (
        "    co2: [{low",
        "    door: [{off_normal: [open]}, {normal: [closed]}]\n    co2: [{low",
        [
            "10:34: limits.warm.door.1: rule 'off-normal' is there twice",
        ],
    ),
    "states of a measured value": (
        HIGH,
        "{off_normal: [open]}",
        [
            (
                "8:22: limits.warm.temperature.0.off_normal: "
                "an analog has no states: give it high or low"
            ),
        ],
    ),
    "stale without source time": (
        HIGH,
        f"{HIGH}\n      - stale: {{on_delay: 10m}}",
        [
            (
                "9:16: limits.warm.temperature.1.stale: "
                "could never be raised: what is read over Modbus has no time of its own"
            )
        ],
    ),
    "units that do not convert": (
        "unit: ppm",
        "unit: degC",
        [
            (
                "15:57: profiles.own.channels.co2.unit: "
                "'degC' (temperature) does not convert to '%' (fraction): the catalogue has '%'"
            )
        ],
    ),
    "unknown unit": (
        "unit: ppm",
        "unit: furlong",
        [
            (
                "15:57: profiles.own.channels.co2.unit: "
                "there is no unit 'furlong': the catalogue has '%'"
            )
        ],
    ),
    "address past the end": (
        "input: 4",
        "input: 65535",
        ["15:20: profiles.own.channels.co2.input: the value would end at 65536, past 65535"],
    ),
    "address beyond sixteen bits": (
        "input: 4",
        "input: 70000",
        [
            (
                "15:20: profiles.own.channels.co2.input: "
                "should be less than or equal to 65535 (got 70000)"
            )
        ],
    ),
    "two tables": (
        "input: 4",
        "input: 4, holding: 4",
        [
            (
                "15:12: profiles.own.channels.co2: "
                "two addresses: give one of coil, discrete, input, holding"
            )
        ],
    ),
    "no table": (
        "{input: 4, type",
        "{type",
        [
            (
                "15:12: profiles.own.channels.co2: "
                "an address is missing: one of coil, discrete, input, holding; over OPC UA a node"
            )
        ],
    ),
    "no type": (
        CO2,
        "{input: 4}",
        [
            (
                "15:12: profiles.own.channels.co2: type is missing: one of int16, uint16, int32, "
                "uint32, int64, uint64, float32, float64, string"
            )
        ],
    ),
    "order of one register": (
        "type: int16,",
        "type: int16, order: CDAB,",
        [
            (
                "14:53: profiles.own.channels.temperature.order: "
                "int16 is AB or BA: its registers have no order"
            )
        ],
    ),
    "sentinel that does not fit": (
        "type: int16,",
        "type: int16, sentinels: [70000],",
        ["14:58: profiles.own.channels.temperature.sentinels.0: 70000 is no int16"],
    ),
    "sentinel that no float32 is": (
        "type: float32, order: CDAB",
        "type: float32, sentinels: [1.0e+39]",
        ["15:50: profiles.own.channels.co2.sentinels.0: 1e+39 is no float32"],
    ),
    "more than a float can hold": (
        CO2,
        '{input: 4, type: float32, unit: "1", scale: 1.0e+308}',
        [
            (
                "15:12: profiles.own.channels.co2: "
                "scale, offset or valid is beyond what a float can hold"
            )
        ],
    ),
    "names of a state": (
        "{0: closed, 1: open}",
        "{0: shut, 1: open}",
        [
            (
                "27:47: equipment.0.sources.1.channels.door.names: "
                "the catalogue calls its states closed and open"
            )
        ],
    ),
    "exact block too large": (
        "  own:\n",
        "  own:\n    grouping: {exact: [{input: 0, count: 126}]}\n",
        ["13:42: profiles.own.grouping.exact.0.count: a request can ask for 125 of input at most"],
    ),
    "channel partly in an exact block": (
        "  own:\n",
        "  own:\n    grouping: {exact: [{input: 5, count: 10}]}\n",
        ["25:41: equipment.0.sources.0.profile: channel 'co2' lies partly in an exact block"],
    ),
    "a will that waits, where there is none such": (
        "mqtt: {host: 127.0.0.1,",
        "mqtt: {host: 127.0.0.1, protocol: 3.1.1, will_delay: 5s,",
        ["3:54: mqtt.will_delay: only MQTT 5 knows it"],
    ),
    "receipts of nobody, of ourselves, twice, and of a name too long for an alarm": (
        "mqtt: {host: 127.0.0.1,",
        f"mqtt: {{receipts: {{from: [pager, me, pager, {'x' * 55}]}}, host: 127.0.0.1,",
        [
            "3:33: mqtt.receipts.from.1: 'me' is the gateway itself; name who listens to it",
            "3:37: mqtt.receipts.from.2: consumer 'pager' is there twice",
            (
                f"3:44: mqtt.receipts.from.3: the name '{'x' * 55}' is too long: "
                f"its alarm could not be named receipts-{'x' * 55}"
            ),
        ],
    ),
    "a command by its name alone": (
        "gateway: gw-1",
        "gateway: gw-1\nnotify: {command: [siren, --loud], priority: urgent}",
        [
            (
                "3:19: notify.command: the program is named by its whole path, such as "
                "/usr/local/bin/siren"
            ),
            "3:46: notify.priority: should be 'low', 'medium', 'high' or 'critical'",
        ],
    ),
    "receipts of nobody": (
        "mqtt: {host: 127.0.0.1,",
        "mqtt: {receipts: {from: [], within: 1ms}, host: 127.0.0.1,",
        [
            "3:25: mqtt.receipts.from: should have at least 1 item in it, not none",
            "3:37: mqtt.receipts.within: should be from 10ms to 1d",
        ],
    ),
    "pages at a name, and at no port": (
        "gateway: gw-1",
        "gateway: gw-1\nhttp: {port: 0, address: localhost}",
        [
            "3:14: http.port: should be greater than or equal to 1 (got 0)",
            "3:26: http.address: should be an IP address, such as 192.0.2.10",
        ],
    ),
    "shipped profile redefined": (
        "  own:\n",
        "  vaisala-hmp: {channels: {}}\n  own:\n",
        [
            (
                "12:3: profiles.vaisala-hmp: "
                "profile 'vaisala-hmp' comes with cytowatch; choose another name"
            )
        ],
    ),
    "secret in the file": (
        SECRET,
        "hunter2",
        [
            (
                "3:45: mqtt.password: "
                "a secret is not written here; say where it is: credential, file or env"
            )
        ],
    ),
    "secret in two places": (
        SECRET,
        "{env: PW, file: /x}",
        ["3:45: mqtt.password: say one place where the secret is: credential, file or env"],
    ),
    "secret nowhere": (
        SECRET,
        "{}",
        ["3:45: mqtt.password: say one place where the secret is: credential, file or env"],
    ),
    "secret in the address": (
        "http://127",
        "http://me:hunter2@127",
        ["4:17: influxdb.url: no names and passwords here: give user and password or token"],
    ),
    "reserved equipment": (
        "name: incubator-1",
        "name: gateway",
        ["19:11: equipment.0.name: 'gateway' is a name of cytowatch's own"],
    ),
    "not a name": (
        "site: lab",
        "site: Les Ulis",
        ["1:7: site: a name is lower case letters, digits, - and _, at most 63 (got 'Les Ulis')"],
    ),
    "missing": ("site: lab\n", "", ["1:1: site: is missing"]),
    "unknown word": (
        HIGH,
        "{name: high, high: 37.5, priority: hihg}",
        [
            (
                "8:44: limits.warm.temperature.0.priority: "
                "should be 'low', 'medium', 'high' or 'critical'; did you mean 'high'?"
            )
        ],
    ),
    "no rule": (
        HIGH,
        "{name: high, hgih: 37.5}",
        [
            (
                "8:9: limits.warm.temperature.0: "
                "a rule says one of high, low, off_normal, normal, setpoint, against, rising, "
                "falling, x, bits, flatline, unreadable, stale"
            ),
        ],
    ),
    "nobody's line": (
        LINE,
        "{name: bus-1, on: [gw-2], modbus: {host: 192.0.2.1}}",
        ["2:10: gateway: no line is on gateway 'gw-1'; did you mean 'gw-2'?"],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new)) == said


def test_the_good_file_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []
    assert [source.key for source in loaded(tmp_path, GOOD).sources] == [
        "incubator-1/own-1",
        "incubator-1/bus-1-2",
    ]


def test_shape_and_references_are_reported_together_by_line(tmp_path: Path) -> None:
    text = (
        GOOD.replace("site: lab", "site: lab\nzite: x")
        .replace("unit: 1,", "unit: 999,")
        .replace("limits: warm", "limits: wram")
        .replace(LOW, "{name: high, low: 36}")
    )
    assert [each.split(": ")[0:2] for each in problems(tmp_path, text)] == [
        ["2:1", "zite"],
        ["10:9", "limits.warm.temperature.1"],
        ["23:13", "equipment.0.limits"],
        ["25:29", "equipment.0.sources.0.unit"],
    ]


def test_a_broken_line_is_not_called_unknown_as_well(tmp_path: Path) -> None:
    said = problems(tmp_path, spoilt("{host: 192.0.2.1}", "{host: 192.0.2.1, port: 99999}"))
    assert said == ["17:51: lines.0.modbus.port: should be less than or equal to 65535 (got 99999)"]


def test_a_profiles_channel_that_a_kind_lacks_can_be_left_out(tmp_path: Path) -> None:
    text = GOOD.replace("kind: incubator", "kind: freezer").replace("    limits: warm\n", "")
    assert problems(tmp_path, text) == [
        (
            "23:41: equipment.0.sources.0.profile: freezer has no channel 'co2' in the catalogue"
            "; a channel of your own is declared under kinds: freezer:"
            "; leave it out with channels: {co2: off}"
        )
    ]
    assert (
        problems(tmp_path, text.replace("profile: own", "profile: own, channels: {co2: off}")) == []
    )


TEXTS = """\
limits:
  run: {operating_state: [{off_normal: [held]}], phase: [{normal: [growth]}]}
"""


def test_a_text_without_names_says_any_word_and_one_with_names_only_these(tmp_path: Path) -> None:
    text = REACTOR.replace("profiles:", f"{TEXTS}profiles:").replace(
        'ph: {node: "s=T.pH", unit: pH}',
        'operating_state: {node: "s=T.S"}\n'
        '      phase: {node: "s=T.P", names: {0: growth, 1: rest}}',
    )
    text = text.replace("kind: bioreactor", "kind: bioreactor\n    limits: run")
    assert problems(tmp_path, text) == []
    assert problems(tmp_path, text.replace("[growth]", "[grwth]")) == [
        "4:68: limits.run.phase.0.normal.0: there is no state 'grwth'; did you mean 'growth'?"
    ]


def test_states_without_names_cannot_be_named(tmp_path: Path) -> None:
    text = spoilt("profiles:", "kinds: {incubator: {lamp: {type: state}}}\nprofiles:")
    text = text.replace("    co2: [{low", "    lamp: [{off_normal: [dark]}]\n    co2: [{low")
    text = text.replace("channels: {door", "channels: {lamp: {coil: 1}, door")
    assert problems(tmp_path, text) == [
        (
            "10:25: limits.warm.lamp.0.off_normal: "
            "its states have no names; give it names of 0 and of 1"
        )
    ]
