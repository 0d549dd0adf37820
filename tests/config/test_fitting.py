"""A source has what its wire needs, and nothing of the other one."""

from pathlib import Path

import pytest

from tests.config.site_text import REACTOR, loaded, problems, spoilt

FAULTS = {
    "a unit over OPC UA": (
        "{line: reactor-1, profile: tank, every: 1s}",
        "{line: reactor-1, unit: 1, profile: tank}",
        [
            (
                "21:33: equipment.0.sources.0.unit: is for Modbus, and line 'reactor-1' is OPC "
                "UA; leave it out"
            )
        ],
    ),
    "grouping over OPC UA": (
        "{line: reactor-1, profile: tank, every: 1s}",
        "{line: reactor-1, grouping: {max_gap: 1}, profile: tank}",
        [
            (
                "21:37: equipment.0.sources.0.grouping: is for Modbus registers, and line "
                "'reactor-1' is OPC UA; leave it out"
            )
        ],
    ),
    "a timeout over OPC UA": (
        "{line: reactor-1, profile: tank, every: 1s}",
        "{line: reactor-1, timeout: 2s, profile: tank}",
        [
            (
                "21:36: equipment.0.sources.0.timeout: is for a Modbus unit, and line "
                "'reactor-1' is OPC UA; the timeout is in the line's opcua settings"
            )
        ],
    ),
    "no unit over Modbus": (
        "        unit: 3\n",
        "",
        [
            (
                "25:9: equipment.0.sources.2.unit: is missing: which Modbus unit behind line "
                "'bus-1', 0 to 255"
            )
        ],
    ),
    "a misspelt unit": (
        "        unit: 3\n",
        "        unti: 3\n",
        ["26:9: equipment.0.sources.2.unti: unknown key 'unti'; did you mean 'unit'?"],
    ),
    "a namespace over Modbus": (
        "        unit: 3\n",
        '        unit: 3\n        namespace: "urn:x"\n',
        [
            (
                "27:20: equipment.0.sources.2.namespace: is for OPC UA nodes, and line 'bus-1' "
                "is Modbus; leave it out"
            )
        ],
    ),
    "a register over OPC UA": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        "{input: 0, type: float32, unit: kg}",
        [
            (
                "24:28: equipment.0.sources.1.channels.weight: a register cannot be read over "
                "line 'reactor-1', which is OPC UA; give a node"
            )
        ],
    ),
    "a node over Modbus": (
        "{discrete: 6}",
        '{node: "i=5"}',
        [
            (
                "27:26: equipment.0.sources.2.channels.door: a node cannot be read over line "
                "'bus-1', which is Modbus; give an address"
            )
        ],
    ),
    "nodes of a profile over Modbus": (
        "{line: reactor-1, profile: tank, every: 1s}",
        "{line: bus-1, unit: 9, profile: tank}",
        [
            (
                "21:41: equipment.0.sources.0.profile: profile 'tank' has nodes (ph, "
                "dissolved_oxygen), and line 'bus-1' is Modbus"
            )
        ],
    ),
    "registers of a profile over OPC UA": (
        "{line: reactor-1, profile: tank, every: 1s}",
        "{line: reactor-1, profile: vaisala-tmp}",
        [
            (
                "21:36: equipment.0.sources.0.profile: profile 'vaisala-tmp' has registers "
                "(temperature), and line 'reactor-1' is OPC UA"
            )
        ],
    ),
    "a profile twice": (
        "      - name: balance\n        line: reactor-1\n        channels",
        "      - line: reactor-1\n        profile: tank\n        channels",
        [
            ("22:9: equipment.0.sources.1: source 'tank' is there twice; give this one a name"),
            (
                "23:18: equipment.0.sources.1.profile: channel 'dissolved_oxygen' comes from "
                "source 0 already; leave it out with channels: {dissolved_oxygen: off}"
            ),
            (
                "23:18: equipment.0.sources.1.profile: channel 'ph' comes from source 0 "
                "already; leave it out with channels: {ph: off}"
            ),
        ],
    ),
    "a name twice": (
        "        channels: {door: {discrete: 6}}",
        "        name: tank\n        channels: {door: {discrete: 6}}",
        ["27:15: equipment.0.sources.2.name: source 'tank' is there twice"],
    ),
    "grouping of no registers": (
        '    namespace: "urn:vendor:tank"\n',
        '    namespace: "urn:vendor:tank"\n    grouping: {max_gap: 2}\n',
        [
            (
                "6:15: profiles.tank.grouping: is for Modbus registers, and this profile has "
                "none; leave it out"
            )
        ],
    ),
    "nodes of a profile without a namespace": (
        '    namespace: "urn:vendor:tank"\n',
        "",
        [
            (
                "20:36: equipment.0.sources.0.profile: profile 'tank' has nodes of no namespace "
                "(ph): give the source or the profile a namespace"
            )
        ],
    ),
    "a node without a namespace": (
        "nsu=urn:vendor:balance;s=W",
        "s=W",
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: is in no namespace: "
                "write nsu=URI; before it, or give the source a namespace"
            )
        ],
    ),
    "namespace of no nodes": (
        "lines:\n",
        '  box: {namespace: "urn:x", channels: {door: {coil: 1}}}\nlines:\n',
        [
            (
                "9:20: profiles.box.namespace: is for OPC UA nodes, and this profile has none; "
                "leave it out"
            )
        ],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new, REACTOR)) == said


def test_a_source_over_opc_ua_is_called_by_its_profile_or_else_its_line(tmp_path: Path) -> None:
    text = spoilt("      - name: balance\n        line", "      - line", REACTOR)
    assert [(each.key, each.unit) for each in loaded(tmp_path, text).sources] == [
        ("bioreactor-1/tank", 0),
        ("bioreactor-1/reactor-1", 0),
        ("bioreactor-1/bus-1-3", 3),
    ]


def test_a_source_over_opc_ua_waits_as_long_as_its_line(tmp_path: Path) -> None:
    text = spoilt(
        "user: {credential: reactor-1}", "user: {credential: r}\n      timeout: 7s", REACTOR
    )
    assert [each.timeout for each in loaded(tmp_path, text).sources] == [
        7 * 10**9,
        7 * 10**9,
        10**9,
    ]
