import json
import re
from pathlib import Path

import pytest

from monitor.messages import Actor
from monitor.operators.envelopes import (
    ACTS,
    AlarmAsked,
    EquipmentAsked,
    Refused,
    alarm_request,
    check,
    equipment_request,
    read,
)
from tests.support.desk import NOON

PAGE = (Path(__file__).parents[3] / "docs" / "messages.md").read_text(encoding="utf-8")
REQUESTS = re.findall(r"\(`cmd/([a-z]+)/([a-z-]+)`.*?\n\n```json\n(\{.*?\})\n```", PAGE)


@pytest.mark.parametrize(("user", "act", "payload"), REQUESTS)
def test_what_the_page_on_messages_shows_is_in_order(user: str, act: str, payload: str) -> None:
    asked = read(act, payload.encode(), retained=False)
    assert isinstance(asked, AlarmAsked | EquipmentAsked), asked
    assert asked.body.user == user
    assert check(asked.body, NOON) is None
    actor = Actor(user=user, via="mqtt")
    if isinstance(asked, AlarmAsked):
        assert alarm_request(asked, actor, "r").alarm == json.loads(payload)["alarm"]
    else:
        assert equipment_request(asked, actor, "r").equipment == json.loads(payload)["equipment"]


def test_the_page_shows_one_of_each_form() -> None:
    shown = {act for _, act, _ in REQUESTS}
    assert shown == {"ack", "shelve", "out-of-service", "comment", "set-state", "load"}
    for act in ACTS:
        assert f"`{act}`" in PAGE


@pytest.mark.parametrize(
    "act", ["", "ACK", "ack ", "acknowledge/more", "set_state", "\x00", "test"]
)
def test_an_act_that_is_none_is_told_which_there_are(act: str) -> None:
    refused = read(act, b"{}", retained=False)
    assert isinstance(refused, Refused)
    assert refused.word == "unknown_act"
    assert ", ".join(ACTS) in refused.text


@pytest.mark.parametrize(
    ("payload", "request_id", "subject"),
    [
        (b'{"request_id": "r-1", "alarm": "a/b/c"}', "r-1", "a/b/c"),
        (b'{"request_id": "r-1", "equipment": "incubator-07"}', "r-1", "incubator-07"),
        (b'{"request_id": 7, "alarm": ["a"]}', "", ""),
        (b"[1]", "", ""),
        (b"\xff", "", ""),
    ],
)
def test_a_refusal_says_what_it_is_about_where_that_can_be_read(
    payload: bytes, request_id: str, subject: str
) -> None:
    for act in ("ack", "load"):
        refused = read(act, payload, retained=False)
        assert isinstance(refused, Refused)
        assert (refused.word, refused.request_id, refused.subject) == (
            *("invalid", request_id, subject),
        )
