"""Nodes as files have them: every form there is, what is refused, and what they come to."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.nodes import LARGEST_NUMBER, LONGEST_TEXT, STANDARD, NodeId, node_id
from config.plant import Channel, ChannelType, Node
from tests.config.site_text import REACTOR, loaded, problems, spoilt

FAULTS = {
    "an index": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "ns=3;s=W", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: the index 3 may be another "
                "namespace's after the server's next start; write the namespace by its URI: "
                '"nsu=URI;s=W"'
            )
        ],
    ),
    "the index 0": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "ns=0;i=2258", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: a node of OPC UA's own is "
                'written without ns=0: "nsu=http://opcfoundation.org/UA/;i=2258"'
            )
        ],
    ),
    "another server": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "svr=1;nsu=x;s=W", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: a node of another server "
                "is read over a line to that server"
            )
        ],
    ),
    "no kind of identifier": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "nsu=urn:x;W", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: a node is i=, s=, g= or b= "
                'behind its namespace: write "nsu=http://vendor/;s=R3.pH"'
            )
        ],
    ),
    "a bare word": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        "{node: W, unit: g}",
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: a node is i=, s=, g= or b= "
                'behind its namespace: write "nsu=http://vendor/;s=R3.pH"'
            )
        ],
    ),
    "an empty namespace": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "nsu=;s=W", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: a namespace is missing "
                'behind nsu=: write "nsu=http://vendor/;s=R3.pH"'
            )
        ],
    ),
    "an index for a URI": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "nsu=3;s=W", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: '3' is an index, which a "
                "server may change; give the URI"
            )
        ],
    ),
    "a number that is none": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "i=x", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: i= is a whole number from "
                "0 to 4294967295"
            )
        ],
    ),
    "a number too large": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "i=4294967296", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: i= is a whole number from "
                "0 to 4294967295"
            )
        ],
    ),
    "an empty text": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "s=", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: s= is a text of 1 to 4096 "
                'characters: write "nsu=http://vendor/;s=R3.pH"'
            )
        ],
    ),
    "half a GUID": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "g=1234", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: g= is a GUID such as "
                "09087e75-8e5e-499b-954f-f2a9603db28a"
            )
        ],
    ),
    "no base64": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "b=?", unit: g}',
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: b= is base64, such as "
                "M/RbKBsRVkePCePcx24oRA=="
            )
        ],
    ),
    "no bytes": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "b=", unit: g}',
        [("24:35: equipment.0.sources.1.channels.weight.node: b= is 1 to 4096 bytes in base64")],
    ),
    "a bare number": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        "{node: 5, unit: g}",
        [
            (
                "24:35: equipment.0.sources.1.channels.weight.node: should be text (in quotes, "
                "if it looks like a number)"
            )
        ],
    ),
    "an index for a namespace": (
        'namespace: "urn:vendor:tank"',
        'namespace: "3"',
        [
            (
                "5:16: profiles.tank.namespace: '3' is an index, which a server may change; "
                "give the URI"
            )
        ],
    ),
    "a number for a namespace": (
        'namespace: "urn:vendor:tank"',
        "namespace: 3",
        [("5:16: profiles.tank.namespace: should be text (in quotes, if it looks like a number)")],
    ),
    "a node that is a register too": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "i=1", holding: 5, type: int16, unit: g}',
        [
            (
                "24:42: equipment.0.sources.1.channels.weight.holding: 'holding' is for "
                "registers, and this is a node; leave it out"
            ),
            (
                "24:54: equipment.0.sources.1.channels.weight.type: 'type' is for registers, "
                "and this is a node; leave it out"
            ),
        ],
    ),
    "a misspelt node": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{nod: "i=1", unit: g}',
        [
            (
                "24:28: equipment.0.sources.1.channels.weight: an address is missing: one of "
                "coil, discrete, input, holding; over OPC UA a node"
            ),
            (
                "24:29: equipment.0.sources.1.channels.weight.nod: unknown key 'nod'; did you "
                "mean 'node'?"
            ),
        ],
    ),
    "units that do not convert": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "i=5", unit: degC}',
        [
            (
                "24:48: equipment.0.sources.1.channels.weight.unit: 'degC' (temperature) does "
                "not convert to 'kg' (mass): the catalogue has 'kg'"
            )
        ],
    ),
    "names of a number": (
        '{node: "nsu=urn:vendor:balance;s=W", unit: g}',
        '{node: "i=5", names: {0: a}}',
        [
            (
                "24:49: equipment.0.sources.1.channels.weight.names: names are for states and "
                "texts; this is analog"
            )
        ],
    ),
    "names of a state": (
        "{discrete: 6}}",
        (
            "{discrete: 6}}\n      - {name: x, line: reactor-1, channels: {power: {node: "
            '"i=9", names: {1: on, 2: off}}}}'
        ),
        [
            (
                "28:75: equipment.0.sources.3.channels.power.names: a state has two names, of "
                "0 and of 1"
            )
        ],
    ),
    "a scale of a state": (
        "{discrete: 6}}",
        (
            "{discrete: 6}}\n      - {name: x, line: reactor-1, channels: {power: {node: "
            '"i=9", scale: 2, unit: V}}}'
        ),
        [
            "28:54: equipment.0.sources.3.channels.power: a state has no scale or offset",
            "28:84: equipment.0.sources.3.channels.power.unit: a state has no unit",
        ],
    ),
    "sentinels of a text": (
        "{discrete: 6}}",
        (
            "{discrete: 6}}\n      - {name: x, line: reactor-1, channels: {phase: {node: "
            '"i=9", sentinels: [1]}}}'
        ),
        ["28:79: equipment.0.sources.3.channels.phase.sentinels: a text has no sentinels"],
    ),
    "a sentinel between numbers": (
        "{discrete: 6}}",
        (
            "{discrete: 6}}\n      - {name: x, line: reactor-1, channels: {phase: {node: "
            '"i=9", names: {0: a}, sentinels: [1.5]}}}'
        ),
        [
            (
                "28:95: equipment.0.sources.3.channels.phase.sentinels.0: 1.5 is no whole "
                "number, and a text is read from one"
            )
        ],
    ),
    "a scaled counter": (
        "{discrete: 6}}",
        (
            "{discrete: 6}}\n      - {name: x, line: reactor-1, channels: {device_status: "
            '{node: "i=9", scale: 2}}}'
        ),
        [
            (
                "28:62: equipment.0.sources.3.channels.device_status: a counter is kept as it "
                "is: no scale, offset or conversion"
            )
        ],
    ),
    "a noisy text": (
        "profiles:\n",
        "kinds: {tank: {note: {type: text, noisy: true}}}\nprofiles:\n",
        ["3:42: kinds.tank.note.noisy: only a measured value is noisy; this is text"],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new, REACTOR)) == said


def channel(folder: Path, name: str, written: str) -> Channel:
    """``name`` of a bioreactor, written so."""
    text = spoilt(
        'weight: {node: "nsu=urn:vendor:balance;s=W", unit: g}', f"{name}: {written}", REACTOR
    )
    return loaded(folder, text).sources[1].channels[0]


IDENTIFIERS = st.one_of(
    st.integers(0, LARGEST_NUMBER).map(lambda number: f"i={number}"),
    st.text(min_size=1, max_size=LONGEST_TEXT // 50).map(lambda text: f"s={text}"),
    st.uuids().map(lambda guid: f"g={guid}"),
    st.binary(min_size=1, max_size=50).map(lambda raw: f"b={b64encode(raw).decode()}"),
)
URIS = st.text("ahtp:/.;%3B25=", min_size=1).filter(lambda uri: not uri.isdecimal())


@given(URIS, IDENTIFIERS)
def test_a_node_that_is_written_out_is_read_as_the_same(uri: str, identifier: str) -> None:
    node = NodeId(uri, identifier)
    assert node_id(str(node)) == node
    assert node_id(identifier, uri) == node


@given(st.text("nsu=igb;:/%3x0", max_size=20))
def test_whatever_is_written_is_a_node_or_told(text: str) -> None:
    try:
        node = node_id(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - that something is said is the whole of it
    else:
        assert node_id(str(node)) == node


SAME = {
    "i=2258": NodeId(STANDARD, "i=2258"),
    "i=0042": NodeId(STANDARD, "i=42"),
    "nsu=urn:a;s=R3;pH = 1": NodeId("urn:a", "s=R3;pH = 1"),
    "nsu=urn:a%3Bb%25c%20;i=1": NodeId("urn:a;b%c%20", "i=1"),
    "nsu=SinumerikVarProvider;s=/Channel": NodeId("SinumerikVarProvider", "s=/Channel"),
    "g=09087E75-8E5E-499B-954F-F2A9603DB28A": NodeId(
        STANDARD, "g=09087e75-8e5e-499b-954f-f2a9603db28a"
    ),
    "b=M/RbKBsRVkePCePcx24oRA==": NodeId(STANDARD, "b=M/RbKBsRVkePCePcx24oRA=="),
}


@pytest.mark.parametrize(("written", "node"), SAME.items())
def test_equal_nodes_are_equal_however_they_are_written(written: str, node: NodeId) -> None:
    assert node_id(written) == node


NODES = {
    '{node: "i=5", unit: g}': Node("urn:x", "i=5", "g", scale=1.0, divisor=1000.0),
    '{node: "i=5"}': Node("urn:x", "i=5", "kg"),
    '{node: "nsu=urn:y;i=5", scale: 0.1, offset: -2, sentinels: [-1], valid: [0, 50]}': Node(
        "urn:y",
        "i=5",
        "",
        divisor=10.0,
        offset=-2.0,
        sentinels=frozenset({-1.0}),
        valid_min=0.0,
        valid_max=50.0,
    ),
}


@pytest.mark.parametrize(("written", "node"), NODES.items())
def test_a_weight_s_node_has_the_conversion_and_unless_the_site_scales_it_the_device_s_unit(
    tmp_path: Path, written: str, node: Node
) -> None:
    text = spoilt("name: balance", 'name: balance\n        namespace: "urn:x"', REACTOR)
    text = text.replace('{node: "nsu=urn:vendor:balance;s=W", unit: g}', written)
    weight = loaded(tmp_path, text).sources[1].channels[0]
    assert weight.node == node
    assert (weight.type, weight.unit, weight.has_source_time) == (ChannelType.ANALOG, "kg", True)


def test_a_namespace_is_the_nearest_that_is_written(tmp_path: Path) -> None:
    of_profile = loaded(tmp_path, REACTOR).sources[0].channels
    assert [each.node.namespace for each in of_profile] == ["urn:vendor:tank"] * 2
    two = spoilt("profile: tank,", 'profile: tank, namespace: "urn:own",', REACTOR)
    assert loaded(tmp_path, two).sources[0].channels[1].node.namespace == "urn:own"
    none = spoilt('    namespace: "urn:vendor:tank"\n', "", REACTOR).replace("s=T.pH", "i=6")
    assert loaded(tmp_path, none).sources[0].channels[1].node.namespace == STANDARD


def test_states_and_texts_have_no_unit_and_their_names(tmp_path: Path) -> None:
    phase = channel(tmp_path, "phase", '{node: "i=1", names: {0: inoculation, 1: growth}}')
    assert (phase.type, phase.names, phase.node.unit) == (
        ChannelType.TEXT,
        {0: "inoculation", 1: "growth"},
        "",
    )
    assert channel(tmp_path, "operating_state", '{node: "i=1"}').names == {}
    door = channel(tmp_path, "power", '{node: "i=1", names: {0: on, 1: off}}')
    assert (door.names, door.node.inverted) == ({0: "off", 1: "on"}, True)
    assert not channel(tmp_path, "power", '{node: "i=1"}').node.inverted
    assert channel(tmp_path, "device_status", '{node: "i=1"}').type is ChannelType.COUNTER
