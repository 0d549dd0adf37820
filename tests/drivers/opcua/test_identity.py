from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from config.lines import OpcUa
from drivers.opcua import identity
from drivers.opcua.identity import IdentityError, days_left, distrust, fingerprint, leading, own
from tests.support.opcua_servers import Identity
from tests.support.opcua_servers import identity as make_identity

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def shown(server: Identity) -> bytes:
    certificate = x509.load_pem_x509_certificate(server.certificate.read_bytes())
    return certificate.public_bytes(Encoding.DER)


def settings(**given: object) -> OpcUa:
    return OpcUa.model_validate({"endpoint": "opc.tcp://127.0.0.1:4840", **given})


def test_ours_is_made_once_and_kept(tmp_path: Path) -> None:
    first = own(settings(), "gw-1", tmp_path)
    again = own(settings(), "gw-1", tmp_path)
    assert first.made
    assert not again.made
    assert first.certificate == again.certificate
    assert first.uri == "urn:cytowatch:gw-1"
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "pki" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in (tmp_path / "pki").iterdir()) == [
        "certificate.der", "key.pem",
    ]  # fmt: skip


def test_ours_is_what_servers_ask_of_an_application(tmp_path: Path) -> None:
    certificate = x509.load_der_x509_certificate(own(settings(), "gw-1", tmp_path).certificate)
    extensions = certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    assert usage.data_encipherment
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:cytowatch:gw-1"]
    assert names.get_values_for_type(x509.DNSName)


def test_ours_is_renewed_with_the_same_key_before_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "LIFETIME", identity.RENEWAL - timedelta(days=1))
    first = own(settings(), "gw-1", tmp_path)
    monkeypatch.undo()
    renewed = own(settings(), "gw-1", tmp_path)
    assert renewed.made
    assert renewed.certificate != first.certificate
    assert renewed.key == first.key
    assert days_left(renewed.certificate, NOW) > 1800


def test_one_that_the_file_names_is_used_with_its_uri(server: Identity, tmp_path: Path) -> None:
    given = settings(certificate=str(server.certificate), key=str(server.key))
    found = own(given, "gw-1", tmp_path)
    assert found.uri == "urn:cytowatch:tests:server"
    assert fingerprint(found.certificate).replace(":", "").lower() == server.fingerprint
    assert (
        load_der_private_key(found.key, None).public_key()
        == load_pem_private_key(server.key.read_bytes(), None).public_key()
    )
    assert not (tmp_path / "pki").exists()


def encrypted(server: Identity) -> bytes:
    key = load_pem_private_key(server.key.read_bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def elliptic(_: Identity) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (encrypted, "is encrypted"),
        (elliptic, "no RSA key"),
        (lambda _: b"nonsense", "no private key"),
        (None, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_told(
    server: Identity, tmp_path: Path, key: object, words: str
) -> None:
    file = tmp_path / "key"
    if callable(key):
        file.write_bytes(key(server))
    given = settings(certificate=str(server.certificate), key=str(file))
    with pytest.raises(IdentityError, match=words) as caught:
        own(given, "gw-1", tmp_path)
    assert str(file) in str(caught.value)


def test_the_key_must_be_the_certificates(server: Identity, tmp_path: Path) -> None:
    own(settings(), "gw-1", tmp_path)
    given = settings(certificate=str(server.certificate), key=str(tmp_path / "pki" / "key.pem"))
    with pytest.raises(IdentityError, match="is not the key of"):
        own(given, "gw-1", tmp_path)


def test_nobody_is_trusted_until_somebody_vouches(shown: bytes, server: Identity) -> None:
    text = distrust(shown, settings(), NOW)
    assert fingerprint(shown) in text
    assert "server_fingerprint" in text
    assert not distrust(shown, settings(server_fingerprint=server.fingerprint), NOW)
    assert not distrust(shown, settings(server_fingerprint=fingerprint(shown)), NOW)
    assert not distrust(shown, settings(server_certificate=str(server.certificate)), NOW)


def test_another_one_than_the_one_vouched_for_is_not_trusted(shown: bytes) -> None:
    text = distrust(shown, settings(server_fingerprint="ab" * 32), NOW)
    assert fingerprint(shown) in text
    assert "AB:AB" in text


@pytest.mark.parametrize(
    ("later", "words"), [(timedelta(hours=2), "expired"), (timedelta(hours=-2), "valid from")]
)
def test_one_that_is_not_valid_now_is_not_trusted(
    shown: bytes, server: Identity, later: timedelta, words: str
) -> None:
    given = settings(server_fingerprint=server.fingerprint)
    assert words in distrust(shown, given, NOW + later)


def test_a_file_that_is_no_certificate_is_told(shown: bytes, tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nnonsense")
    with pytest.raises(IdentityError, match="no certificate"):
        distrust(shown, settings(server_certificate=str(file)), NOW)


def test_of_a_chain_the_first_counts(shown: bytes) -> None:
    assert leading(shown) == shown
    assert leading(shown + shown) == shown
