"""Lines that could not be opened, or not safely, are told before the daemon tries."""

from pathlib import Path

import pytest

from tests.config.site_text import REACTOR, problems, spoilt

FAULTS = {
    "a password with security None": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: None",
        [
            (
                "14:13: lines.0.opcua.user: security None does not encrypt, and the network "
                "could read the password; use security: Basic256Sha256/SignAndEncrypt, or say "
                "password_in_clear: true"
            )
        ],
    ),
    "a password that is only signed": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256Sha256/Sign",
        [
            (
                "14:13: lines.0.opcua.user: security Basic256Sha256/Sign does not encrypt, and "
                "the network could read the password; use security: "
                "Basic256Sha256/SignAndEncrypt, or say password_in_clear: true"
            )
        ],
    ),
    "a password in clear that was asked for": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: None\n      password_in_clear: true",
        [],
    ),
    "needless words about a password": (
        "security: Basic256Sha256/SignAndEncrypt",
        "security: Basic256Sha256/SignAndEncrypt\n      password_in_clear: true",
        [
            (
                "14:26: lines.0.opcua.password_in_clear: is not needed: "
                "Basic256Sha256/SignAndEncrypt encrypts the password; leave it out"
            )
        ],
    ),
    "words about nobody's password": (
        "user: {credential: reactor-1}",
        "password_in_clear: true",
        [("14:26: lines.0.opcua.password_in_clear: is not needed: there is no user; leave it out")],
    ),
    "a user without a password": (
        "user: {credential: reactor-1}",
        "user: me",
        [
            (
                "14:13: lines.0.opcua.user: a user needs a password beside it; or user is a "
                "secret that holds name:password"
            )
        ],
    ),
    "a user with a password": (
        "user: {credential: reactor-1}",
        "user: me\n      password: {env: PW}",
        [],
    ),
    "a password in the name of the user": (
        "user: {credential: reactor-1}",
        'user: "me:hunter2"',
        [
            (
                "14:13: lines.0.opcua.user: no password here: give user a secret that holds "
                "name:password"
            )
        ],
    ),
    "two passwords": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      password: {env: PW}",
        [
            (
                "15:17: lines.0.opcua.password: the secret of user holds name:password; leave "
                "password out, or give user a name"
            )
        ],
    ),
    "a password of nobody": (
        "user: {credential: reactor-1}",
        "password: {env: PW}",
        ["14:17: lines.0.opcua.password: a password without a user"],
    ),
    "a secret in two places": (
        "user: {credential: reactor-1}",
        "user: {credential: a, env: B}",
        [("14:13: lines.0.opcua.user: say one place where the secret is: credential, file or env")],
    ),
    "a certificate without its key": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      certificate: /a.der",
        [
            (
                "15:20: lines.0.opcua.certificate: certificate and key go together; without "
                "both, cytowatch makes its own"
            )
        ],
    ),
    "a key without its certificate": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      key: /a.der",
        [
            (
                "15:12: lines.0.opcua.key: certificate and key go together; without both, "
                "cytowatch makes its own"
            )
        ],
    ),
    "a server told twice": (
        "user: {credential: reactor-1}",
        (
            "user: {credential: reactor-1}\n      server_certificate: /a.der\n      "
            "server_fingerprint: "
            '"abababababababababababababababababababababababababababababababab"'
        ),
        [
            (
                "16:27: lines.0.opcua.server_fingerprint: server_certificate says already "
                "which server it is; give one of the two"
            )
        ],
    ),
    "a certificate without security": (
        "security: Basic256Sha256/SignAndEncrypt\n      user: {credential: reactor-1}",
        "security: None\n      server_certificate: /a.der",
        [
            (
                "14:27: lines.0.opcua.server_certificate: security None uses no certificates; "
                "leave it out, or choose a security such as Basic256Sha256/SignAndEncrypt"
            )
        ],
    ),
    "a keep-alive sooner than two publishings": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      publishing: 1s\n      keep_alive: 1500ms",
        [
            (
                "16:19: lines.0.opcua.keep_alive: keep_alive is 1500ms, and has to be two "
                "publishings at least: 2s"
            )
        ],
    ),
    "publishings too rare for the usual keep-alive": (
        "user: {credential: reactor-1}",
        "user: {credential: reactor-1}\n      publishing: 3s",
        [
            (
                "15:19: lines.0.opcua.publishing: keep_alive is 5s, and has to be two "
                "publishings at least: 6s"
            )
        ],
    ),
    "one OPC UA server on two lines": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        '{name: bus-1, opcua: {endpoint: "opc.tcp://192.0.2.31"}}',
        [
            (
                "15:37: lines.1.opcua.endpoint: line 'reactor-1' is to 192.0.2.31:4840 "
                "already; give its sources one line"
            ),
            (
                "26:15: equipment.0.sources.2.unit: is for Modbus, and line 'bus-1' is OPC UA; "
                "leave it out"
            ),
            (
                "27:26: equipment.0.sources.2.channels.door: a register cannot be read over "
                "line 'bus-1', which is OPC UA; give a node"
            ),
        ],
    ),
    "one Modbus host on two lines": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        ("{name: bus-1, modbus: {host: 192.0.2.1}}\n  - {name: bus-2, modbus: {host: 192.0.2.1}}"),
        [
            (
                "16:34: lines.2.modbus.host: line 'bus-1' is to 192.0.2.1:502 already; give "
                "its sources one line"
            )
        ],
    ),
    "one device for two gateways": (
        "{name: bus-1, modbus: {host: 192.0.2.1}}",
        (
            "{name: bus-1, on: [gw-1], modbus: {host: 192.0.2.1}}\n  - {name: bus-2, on: "
            "[gw-2], modbus: {host: 192.0.2.1}}"
        ),
        [],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert problems(tmp_path, spoilt(old, new, REACTOR)) == said
