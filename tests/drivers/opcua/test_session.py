"""Who is let in, and who is believed to be whom: before real servers that speak only encrypted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.opcua.identity import fingerprint
from drivers.opcua.session import Session
from tests.drivers.opcua.harness import GOOD, NODES, PH, Held, reactor, settings
from tests.support.opcua_servers import Change, Identity, Make, Manner, OpcUaServer, identity

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

PASSWORD = "correct-horse"
SECURITY = "Basic256Sha256/SignAndEncrypt"


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return identity(tmp_path_factory.mktemp("right"))


@pytest.fixture
def secured(make: Make, right: Identity, tmp_path: Path) -> Iterator[OpcUaServer]:
    manner = Manner(users={"cytowatch": PASSWORD}, identity=right)
    with OpcUaServer(tmp_path, make, NODES, manner) as server:
        yield server


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.fixture
def wrong_password(tmp_path: Path) -> Path:
    file = tmp_path / "wrong-password"
    file.write_text("battery-staple")
    return file


def user(password: Path) -> dict[str, object]:
    return {"security": SECURITY, "user": "cytowatch", "password": {"file": str(password)}}


async def lost(line: Held) -> str:
    async with line:
        await line.until(lambda: bool(line.losses))
    assert not line.held
    return line.losses[0]


async def test_the_certificate_that_was_vouched_for_and_the_right_password_open_the_line(
    secured: OpcUaServer, right: Identity, password: Path, tmp_path: Path
) -> None:
    given = settings(secured.endpoint, server_certificate=str(right.certificate), **user(password))
    async with Held(given, tmp_path, reactor()) as line:
        assert (await line.until_good()).values == GOOD
        assert not line.losses
    assert (tmp_path / "pki" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert secured.counts().sessions == 0


async def test_the_keys_of_the_channel_are_renewed_while_values_flow(
    secured: OpcUaServer,
    right: Identity,
    password: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy machine may miss the moment, and then the line is lost; not again and again."""
    monkeypatch.setattr("drivers.opcua.session.CHANNEL_LIFETIME", 3000)
    given = settings(secured.endpoint, server_fingerprint=right.fingerprint, **user(password))
    async with Held(given, tmp_path, reactor()) as line:
        await line.until_good()
        for value in (6.5, 6.4, 6.3):
            session = await renewed(line, times=3)
            secured.set(Change(PH.id, value))
            await line.until(lambda now=value: line.changes(0)[-1:] == [now])  # type: ignore[misc]
            if line.line._session is session:
                return
        raise AssertionError(line.losses)


async def renewed(line: Held, times: int) -> Session:
    """Return the session of a line whose keys were renewed so often since its channel was made."""
    first: dict[object, int] = {}

    def often() -> bool:
        session = line.line._session
        channel = None if session is None else session._client.uaclient.protocol
        if channel is None:
            return False
        token: int = channel._connection.security_token.TokenId
        return token >= first.setdefault(channel, token) + times

    await line.until(often)
    session = line.line._session
    assert session is not None
    return session


async def test_a_secret_may_hold_the_name_and_the_password(
    secured: OpcUaServer, right: Identity, tmp_path: Path
) -> None:
    file = tmp_path / "user"
    file.write_text(f"cytowatch:{PASSWORD}")
    given = settings(
        secured.endpoint,
        security=SECURITY,
        user={"file": str(file)},
        server_fingerprint=right.fingerprint,
    )
    async with Held(given, tmp_path, reactor()) as line:
        assert (await line.until_good()).values == GOOD


async def test_a_server_that_nobody_vouched_for_gets_no_password(
    secured: OpcUaServer, right: Identity, password: Path, tmp_path: Path
) -> None:
    text = await lost(Held(settings(secured.endpoint, **user(password)), tmp_path, reactor()))
    assert right.fingerprint in text.lower().replace(":", "")
    assert "server_fingerprint" in text
    assert secured.counts().sessions_ever == 0


async def test_another_certificate_than_the_one_vouched_for_is_refused(
    secured: OpcUaServer, right: Identity, password: Path, tmp_path: Path
) -> None:
    other = "ab" * 32
    given = settings(secured.endpoint, server_fingerprint=other, **user(password))
    text = await lost(Held(given, tmp_path, reactor()))
    assert "AB:AB" in text
    assert right.fingerprint in text.lower().replace(":", "")
    assert secured.counts().sessions_ever == 0


async def test_a_wrong_password_is_told_and_not_shown(
    secured: OpcUaServer, right: Identity, wrong_password: Path, tmp_path: Path
) -> None:
    given = settings(secured.endpoint, server_fingerprint=right.fingerprint, **user(wrong_password))
    text = await lost(Held(given, tmp_path, reactor()))
    assert "cytowatch" in text
    assert "password" in text
    assert "battery-staple" not in text


async def test_what_a_server_does_not_offer_is_told_with_what_it_does(
    secured: OpcUaServer, tmp_path: Path
) -> None:
    text = await lost(Held(settings(secured.endpoint), tmp_path, reactor()))
    assert "does not offer None" in text
    assert SECURITY in text


async def test_nobody_is_let_in_without_a_user(
    secured: OpcUaServer, right: Identity, tmp_path: Path
) -> None:
    given = settings(secured.endpoint, security=SECURITY, server_fingerprint=right.fingerprint)
    assert "user" in await lost(Held(given, tmp_path, reactor()))


@pytest.mark.parametrize("security", ["None", "Basic256Sha256/Sign"])
async def test_a_password_does_not_cross_a_channel_that_others_read(
    security: str, password: Path, tmp_path: Path
) -> None:
    given = settings("opc.tcp://127.0.0.1:9", **user(password) | {"security": security})
    text = await lost(Held(given, tmp_path, reactor()))
    assert "password_in_clear" in text


async def test_a_password_in_clear_is_sent_if_the_file_says_so(
    password: Path, tmp_path: Path
) -> None:
    clear = user(password) | {"security": "None", "password_in_clear": True}
    manner = Manner(users={"cytowatch": PASSWORD})
    with OpcUaServer(tmp_path, "asyncua", NODES, manner) as server:
        async with Held(settings(server.endpoint, **clear), tmp_path, reactor()) as line:
            assert (await line.until_good()).values == GOOD


async def test_a_server_that_takes_no_users_over_that_security_is_told_of(
    password: Path, tmp_path: Path
) -> None:
    clear = user(password) | {"security": "None", "password_in_clear": True}
    manner = Manner(users={"cytowatch": PASSWORD})
    with OpcUaServer(tmp_path, "node-opcua", NODES, manner) as server:
        given = settings(server.endpoint, **clear)
        assert "takes no users over None" in await lost(Held(given, tmp_path, reactor()))


async def test_a_certificate_that_was_changed_at_the_server_ends_the_trust(
    secured: OpcUaServer, right: Identity, password: Path, tmp_path: Path
) -> None:
    given = settings(secured.endpoint, server_fingerprint=right.fingerprint, **user(password))
    other = identity(tmp_path / "other")
    async with Held(given, tmp_path, reactor()) as line:
        await line.until_good()
        secured.kill()
        secured.manner = replace(secured.manner, identity=other)
        secured.start()
        await line.until(lambda: any(other.fingerprint in plain(text) for text in line.losses))
        assert secured.counts().sessions_ever == 0


def plain(text: str) -> str:
    return text.lower().replace(":", "")


def test_a_fingerprint_is_written_as_people_compare_it(right: Identity) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    der = load_pem_x509_certificate(right.certificate.read_bytes()).public_bytes(Encoding.DER)
    assert plain(fingerprint(der)) == right.fingerprint
    assert fingerprint(der).count(":") == 31
