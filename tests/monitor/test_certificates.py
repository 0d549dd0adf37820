import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.lines import OpcUa, OpcUaLine
from config.site import InfluxDb, Mqtt, Tls
from monitor.certificates import Certificate, Certificates, expiries, used
from monitor.troubles import gateway_rules
from tests.monitor.hand import small_plant
from tests.support.waiting import eventually

SECOND = 10**9
LINE = OpcUaLine(name="r", opcua=OpcUa(endpoint="opc.tcp://127.0.0.1:1"))


def secured(line: OpcUaLine = LINE, **settings: object) -> OpcUaLine:
    given = {"security": "Basic256Sha256/SignAndEncrypt", **settings}
    return line.model_copy(update={"opcua": line.opcua.model_copy(update=given)})


def certificate(path: Path, days: float, *, der: bool = False) -> int:
    """Write one that lasts so long; return when it ends (s, UTC)."""
    until = datetime.now(UTC) + timedelta(days=days)
    pem = trustme.CA().issue_cert("gw-1", not_after=until).cert_chain_pems[0].bytes()
    if der:
        path.write_bytes(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    else:
        path.write_bytes(path.read_bytes() + pem if path.exists() else pem)
    return int(until.timestamp())


def test_what_the_file_names_and_what_we_made_ourselves_is_looked_at(tmp_path: Path) -> None:
    own, ca, kept = tmp_path / "own.pem", tmp_path / "ca.pem", tmp_path / "pki" / "certificate.der"
    plant = small_plant()
    assert used(plant, tmp_path) == ()
    assert used(replace(plant, lines={"r": LINE}), tmp_path) == (), "in the clear there is none"
    database = InfluxDb(name="archive", url="https://127.0.0.1:1", ca_file=ca)
    assert used(replace(plant, other_databases=(database,)), tmp_path) == (
        Certificate("archive-ca", ca, trusts=True),
    )
    mqtt = Mqtt(host="127.0.0.1", tls=Tls(ca_file=ca, cert_file=own, key_file=own))
    lines = {"a": secured(), "b": secured(), "c": secured(certificate=own)}
    assert used(replace(plant, lines=lines, mqtt=mqtt), tmp_path) == (
        Certificate("opcua", kept),
        Certificate("opcua", own),
        Certificate("mqtt", own),
        Certificate("mqtt-ca", ca, trusts=True),
    )
    rules = gateway_rules(replace(plant, lines=lines, mqtt=mqtt))
    wanted = {"certificate-opcua", "certificate-mqtt", "certificate-mqtt-ca"}
    assert wanted <= rules.keys()
    assert all(rules[name].response for name in wanted)


@pytest.mark.parametrize("der", [True, False])
def test_the_one_that_ends_first_counts(tmp_path: Path, der: bool) -> None:
    later = certificate(tmp_path / "a", 90, der=der)
    sooner = certificate(tmp_path / "b", 10, der=der)
    both = [Certificate("opcua", tmp_path / name) for name in ("a", "b")]
    assert expiries(both) == {"opcua": sooner}
    assert expiries(both[:1]) == {"opcua": later}


def test_of_a_chain_the_first_counts_and_of_whom_we_trust_the_last_to_go(tmp_path: Path) -> None:
    first = certificate(tmp_path / "chain", 10)
    certificate(tmp_path / "chain", 5)
    last = certificate(tmp_path / "chain", 20)
    assert expiries([Certificate("mqtt", tmp_path / "chain")]) == {"mqtt": first}
    assert expiries([Certificate("ca", tmp_path / "chain", trusts=True)]) == {"ca": last}


@pytest.mark.parametrize("text", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nx"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x").write_bytes(text)
    assert expiries([Certificate("mqtt", tmp_path / "x")]) == {}
    assert expiries([Certificate("mqtt", tmp_path / "nowhere")]) == {}


async def test_a_month_before_its_end_a_certificate_is_to_be_renewed(tmp_path: Path) -> None:
    end = certificate(tmp_path / "own", 100)
    watched = Certificates([Certificate("mqtt", tmp_path / "own")])
    assert not watched.ends_soon("mqtt", end * SECOND), "before the first look nothing is known"
    task = asyncio.create_task(watched.hold(lambda: None))
    await eventually(lambda: bool(watched.expiries))
    task.cancel()
    month = 30 * 86_400
    assert not watched.ends_soon("mqtt", (end - month) * SECOND)
    assert watched.ends_soon("mqtt", (end - month + 1) * SECOND)
    assert watched.ends_soon("mqtt", (end + month) * SECOND), "it has ended"
    assert watched.days_left((end - month) * SECOND) == 30
    assert watched.days_left((end + 1) * SECOND) == -1
    assert Certificates([]).days_left(end * SECOND) is None
