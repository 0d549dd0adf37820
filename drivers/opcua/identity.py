"""Who we are and who the server is: certificates, and which of them to trust. Blocking.

Ours is made when the file names none: self-signed, kept in the line's directory with its key, made
anew from the same key before it expires. Trust in a server is never automatic: somebody vouches for
its certificate by giving the file or its fingerprint.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.lines import OpcUa

LIFETIME = timedelta(days=5 * 365)
RENEWAL = timedelta(days=60)
"""Ours is made anew when it has less left than this: servers must be told to trust the new one."""
BITS = 2048
"""What every policy takes (Basic256Sha256: 2048 to 4096)."""
_PEM = b"-----BEGIN"
_making = Lock()
"""All lines of a gateway share one certificate, and ask for it at the same time."""


class IdentityError(Exception):
    """A certificate or key that cannot be used; the text says which and why."""


class Identity(NamedTuple):
    """Our own certificate and its key."""

    certificate: bytes
    """DER."""
    key: bytes
    """DER (PKCS 8), not encrypted: never to be logged."""
    uri: str
    """The application's URI: servers hold it against the certificate's."""
    path: Path
    made: bool
    """Whether it was made just now, so that no server can know it yet."""


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a DER certificate as people compare it: ``AB:CD:…``."""
    return x509.load_der_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex(":").upper()


def leading(chain: bytes) -> bytes:
    """Return the first certificate of those that stand one after the other (DER)."""
    length = chain[1]
    header = 2
    if length > 0x7F:  # noqa: PLR2004 - then it is the number of bytes that hold the length
        header += length & 0x7F
        length = int.from_bytes(chain[2:header], "big")
    return chain[: header + length]


def own(settings: OpcUa, gateway: str, directory: Path) -> Identity:
    """Return our certificate: the one that the file names, else the one that is kept or made.

    Raises IdentityError.
    """
    if settings.certificate is not None and settings.key is not None:
        return _identity(settings.certificate, settings.key, made=False)
    folder = directory / "pki"
    with _making:
        return _kept(folder / "certificate.der", folder / "key.pem", gateway)


def distrust(shown: bytes, settings: OpcUa, now: datetime) -> str:
    """Return why the certificate that a server shows (DER) is not good enough; empty if it is.

    Raises IdentityError where the file names a certificate that cannot be read.
    """
    found = fingerprint(shown)
    wanted = _vouched(settings)
    if not wanted:
        return (
            "nobody has vouched for its certificate: compare its SHA-256 with what the device "
            "itself shows, and if it is the same, write into the file, beside the endpoint: "
            f'server_fingerprint: "{found}"'
        )
    if found != wanted:
        return (
            f"it shows another certificate than the one vouched for: {found}, not {wanted}; find "
            "out why, and write the new one into the file only if the device itself shows it"
        )
    certificate = x509.load_der_x509_certificate(shown)
    if now > certificate.not_valid_after_utc:
        return (
            f"its certificate has expired ({_day(certificate.not_valid_after_utc)}): renew it there"
        )
    if now < certificate.not_valid_before_utc:
        return (
            f"its certificate is valid from {_day(certificate.not_valid_before_utc)} only: "
            "is one of the two clocks wrong?"
        )
    return ""


def days_left(certificate: bytes, now: datetime) -> int:
    """Return for how many whole days a certificate (DER) is still valid."""
    return (x509.load_der_x509_certificate(certificate).not_valid_after_utc - now).days


def _vouched(settings: OpcUa) -> str:
    """Return the fingerprint that the server's certificate must have; empty where none is given."""
    if settings.server_certificate is not None:
        return fingerprint(_der(_certificate(settings.server_certificate)))
    given = settings.server_fingerprint
    return bytes.fromhex(given.replace(":", "")).hex(":").upper() if given else ""


def _day(time: datetime) -> str:
    return time.date().isoformat()


# Reading what is there


def _identity(certificate: Path, key: Path, *, made: bool) -> Identity:
    loaded, private = _certificate(certificate), _key(key)
    if loaded.public_key() != private.public_key():
        raise IdentityError(f"{key} is not the key of {certificate}")
    pkcs8 = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Identity(_der(loaded), pkcs8, _uri(loaded, certificate), certificate, made)


def _certificate(path: Path) -> x509.Certificate:
    data = _read(path)
    try:
        if data.lstrip().startswith(_PEM):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise IdentityError(f"{path} is no certificate (DER or PEM)") from error


def _key(path: Path) -> RSAPrivateKey:
    data = _read(path)
    try:
        if data.lstrip().startswith(_PEM):
            key = serialization.load_pem_private_key(data, None)
        else:
            key = serialization.load_der_private_key(data, None)
    except TypeError as error:
        raise IdentityError(f"{path} is encrypted: give a key that is not") from error
    except ValueError as error:
        raise IdentityError(f"{path} is no private key (DER or PEM)") from error
    if not isinstance(key, RSAPrivateKey):
        raise IdentityError(f"{path} is no RSA key, which is what OPC UA's policies take")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror or error}") from error


def _uri(certificate: x509.Certificate, path: Path) -> str:
    """Return the application's URI, by which servers tell whose certificate it is."""
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if uris := names.get_values_for_type(x509.UniformResourceIdentifier):
            return uris[0]
    raise IdentityError(f"{path} has no URI among its alternative names, which OPC UA asks for")


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


# Making our own


def _kept(certificate: Path, key: Path, gateway: str) -> Identity:
    """Return what is kept; make what is missing, and what will soon have expired."""
    try:
        certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not key.exists():
            _write(key, _new_key(), 0o600)
            certificate.unlink(missing_ok=True)
        made = not certificate.exists() or _ends_soon(_certificate(certificate))
        if made:
            _write(certificate, _der(_signed(_key(key), gateway)), 0o644)
    except OSError as error:
        raise IdentityError(
            f"no certificate could be made in {certificate.parent}: {error.strerror or error}"
        ) from error
    return _identity(certificate, key, made=made)


def _ends_soon(certificate: x509.Certificate) -> bool:
    return datetime.now(UTC) + RENEWAL > certificate.not_valid_after_utc


def _new_key() -> bytes:
    return rsa.generate_private_key(65537, BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _signed(key: RSAPrivateKey, gateway: str) -> x509.Certificate:
    """Return a self-signed certificate as OPC 10000-6 (6.2.2) wants it of an application."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"cytowatch {gateway}"[:64])])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
    )
    for extension, critical in _extensions(key, gateway):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256())


def _extensions(key: RSAPrivateKey, gateway: str) -> Sequence[tuple[x509.ExtensionType, bool]]:
    names = [
        x509.UniformResourceIdentifier(f"urn:cytowatch:{gateway}"),
        x509.DNSName(_ascii(socket.gethostname())),
    ]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )


def _ascii(host: str) -> str:
    return host.encode("ascii", "replace").decode().replace("?", "-") or "localhost"


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is never seen half written, nor by others before it has its mode."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
