"""How a line is written: each fault is said where it is, and in words of its own wire only."""

from pathlib import Path

import pytest

from config.lines import OpcUa, OpcUaLine
from config.site import Secret
from tests.config.site_text import REACTOR, loaded, problems, spoilt

FAULTS = {
    "a line that is not reached": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        "{name: bus-1}",
        [
            (
                "15:5: lines.1: how the line is reached is missing: modbus: {host: 192.0.2.20} "
                'or opcua: {endpoint: "opc.tcp://…"}'
            )
        ],
    ),
    "a line that is a number": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        "5",
        [
            "15:5: lines.1: should be keys and values",
            "25:15: equipment.0.sources.2.line: there is no line 'bus-1'",
        ],
    ),
    "both wires": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        '{name: bus-1, modbus: {host: 192.0.2.1}, opcua: {endpoint: "opc.tcp://x"}}',
        [
            (
                "15:5: lines.1: a line is one connection, of one wire: modbus: {host: "
                '192.0.2.20} or opcua: {endpoint: "opc.tcp://…"}'
            )
        ],
    ),
    "a misspelt wire": (
        "    opcua:\n",
        "    opcau:\n",
        [
            "10:5: lines.0.opcua: is missing",
            "11:5: lines.0.opcau: unknown key 'opcau'; did you mean 'opcua'?",
        ],
    ),
    "a port beside the endpoint": (
        'endpoint: "opc.tcp://192.0.2.31:4840"',
        'endpoint: "opc.tcp://192.0.2.31:4840"\n      port: 4840',
        ["13:7: lines.0.opcua.port: 'port' is said by the endpoint: opc.tcp://host:port"],
    ),
    "a key of Modbus": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256Sha256/SignAndEncrypt\n      framing: tcp",
        [
            (
                "14:7: lines.0.opcua.framing: 'framing' is for Modbus, and this line is OPC "
                "UA; leave it out"
            )
        ],
    ),
    "a key of OPC UA": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        "{name: bus-1, modbus: {host: 192.0.2.1, security: None}}",
        [
            (
                "15:45: lines.1.modbus.security: 'security' is for OPC UA, and this line is "
                "Modbus; leave it out"
            )
        ],
    ),
    "no opc.tcp": (
        '"opc.tcp://192.0.2.31:4840"',
        '"http://192.0.2.31:4840"',
        [
            (
                "12:17: lines.0.opcua.endpoint: should be opc.tcp://host:port/path, such as "
                "opc.tcp://192.0.2.31:4840"
            )
        ],
    ),
    "bare host": (
        '"opc.tcp://192.0.2.31:4840"',
        "192.0.2.31",
        [
            (
                "12:17: lines.0.opcua.endpoint: should be opc.tcp://host:port/path, such as "
                "opc.tcp://192.0.2.31:4840"
            )
        ],
    ),
    "port 0": (
        "192.0.2.31:4840",
        "192.0.2.31:0",
        [
            (
                "12:17: lines.0.opcua.endpoint: should be opc.tcp://host:port/path, such as "
                "opc.tcp://192.0.2.31:4840"
            )
        ],
    ),
    "port big": (
        "192.0.2.31:4840",
        "192.0.2.31:70000",
        [
            (
                "12:17: lines.0.opcua.endpoint: should be opc.tcp://host:port/path, such as "
                "opc.tcp://192.0.2.31:4840"
            )
        ],
    ),
    "a password in the endpoint": (
        "opc.tcp://192",
        "opc.tcp://me:hunter2@192",
        [
            (
                "12:17: lines.0.opcua.endpoint: no names and passwords here: give user and "
                "password beside it"
            )
        ],
    ),
    "no endpoint": (
        '      endpoint: "opc.tcp://192.0.2.31:4840"\n',
        "",
        ["12:7: lines.0.opcua.endpoint: is missing"],
    ),
    "a policy with SHA-1": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256/SignAndEncrypt",
        [
            (
                "13:17: lines.0.opcua.security: Basic256 is withdrawn, since SHA-1 is broken; "
                "write Basic256Sha256/SignAndEncrypt"
            )
        ],
    ),
    "a policy without a mode": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256Sha256",
        [
            (
                "13:17: lines.0.opcua.security: should be policy and mode: "
                "Basic256Sha256/SignAndEncrypt, or Basic256Sha256/Sign"
            )
        ],
    ),
    "a misspelt security": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256Sha256/SignAndEncrpt",
        [
            (
                "13:17: lines.0.opcua.security: should be 'None', 'Basic256Sha256/Sign', "
                "'Basic256Sha256/SignAndEncrypt', 'Aes128_Sha256_RsaOaep/Sign', "
                "'Aes128_Sha256_RsaOaep/SignAndEncrypt', 'Aes256_Sha256_RsaPss/Sign' or "
                "'Aes256_Sha256_RsaPss/SignAndEncrypt'; did you mean "
                "'Basic256Sha256/SignAndEncrypt'?"
            )
        ],
    ),
    "a security in small letters": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: none",
        [
            (
                "13:17: lines.0.opcua.security: should be 'None', 'Basic256Sha256/Sign', "
                "'Basic256Sha256/SignAndEncrypt', 'Aes128_Sha256_RsaOaep/Sign', "
                "'Aes128_Sha256_RsaOaep/SignAndEncrypt', 'Aes256_Sha256_RsaPss/Sign' or "
                "'Aes256_Sha256_RsaPss/SignAndEncrypt'; did you mean 'None'?"
            )
        ],
    ),
    "a password in the file": (
        "user: {credential: reactor-1}",
        "user: me\n      password: hunter2",
        [
            (
                "15:17: lines.0.opcua.password: a secret is not written here; say where it is: "
                "credential, file or env"
            )
        ],
    ),
    "a user that is a number": (
        "user: {credential: reactor-1}",
        "user: 5",
        [
            (
                "14:13: lines.0.opcua.user: should be a name, or where a secret is: "
                "{credential: reactor-3}"
            )
        ],
    ),
    "a misspelt place of a secret": (
        "user: {credential: reactor-1}",
        "user: {credental: a}",
        [
            (
                "14:14: lines.0.opcua.user.credental: unknown key 'credental'; did you mean "
                "'credential'?"
            )
        ],
    ),
    "half a fingerprint": (
        "user: {credential: reactor-1}",
        'user: {credential: reactor-1}\n      server_fingerprint: "ab:cd"',
        [
            (
                "15:27: lines.0.opcua.server_fingerprint: should be a SHA-256: 64 hexadecimal "
                "digits, with or without colons"
            )
        ],
    ),
    "publishing range": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      publishing: 1ms",
        ["15:19: lines.0.opcua.publishing: should be from 50ms to 1m"],
    ),
    "a misspelt manner of reading": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      reading: pol",
        [("15:16: lines.0.opcua.reading: should be 'subscribe' or 'poll'; did you mean 'poll'?")],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new, REACTOR)) == said


def reactor(folder: Path, settings: str) -> OpcUa:
    line = loaded(folder, spoilt("user: {credential: reactor-1}", settings, REACTOR)).lines
    assert isinstance(line["reactor-1"], OpcUaLine)
    return line["reactor-1"].opcua


def test_a_fingerprint_is_one_however_it_is_written(tmp_path: Path) -> None:
    for written in (":".join(["AB"] * 32), "ab" * 32, "aB" * 32):
        settings = reactor(tmp_path, f'server_fingerprint: "{written}"')
        assert settings.server_fingerprint == ":".join(["AB"] * 32)


def test_a_user_is_a_name_or_a_secret(tmp_path: Path) -> None:
    assert reactor(tmp_path, "user: {file: /etc/reactor}").user == Secret(file=Path("/etc/reactor"))
    named = reactor(tmp_path, "user: me\n      password: {env: PW}")
    assert (named.user, named.password) == ("me", Secret(env="PW"))
    assert reactor(tmp_path, "queue: 9").user is None


def test_servers_may_have_a_path_an_ipv6_address_and_no_port(tmp_path: Path) -> None:
    for endpoint in ("opc.tcp://plc", "opc.tcp://[fe80::1]:4841/UA/Server", "opc.tcp://plc:1/a"):
        text = spoilt("opc.tcp://192.0.2.31:4840", endpoint, REACTOR)
        assert problems(tmp_path, text) == []


def test_a_broken_line_is_not_judged_for_what_could_not_be_read_of_it(tmp_path: Path) -> None:
    text = spoilt("security:", "securty:", REACTOR)
    assert problems(tmp_path, text) == [
        "13:7: lines.0.opcua.securty: unknown key 'securty'; did you mean 'security'?"
    ]
