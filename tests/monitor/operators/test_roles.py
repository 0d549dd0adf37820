import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.plant import Operators
from monitor.alarms.facts import Refusal
from monitor.messages import Act, Actor
from monitor.operators.roles import EMERGENCY, acting_as

OPERATORS = Operators(
    roles={
        "operator": frozenset({"acknowledge", "comment"}),
        "supervisor": frozenset({"acknowledge", "confirm", "reset", "comment"}),
        "engineer": frozenset({"remove_from_service"}),
    },
    users={"anna": ("operator",), "kim": ("engineer", "supervisor", "operator"), "leo": ()},
    others=("operator",),
)


def actor(user: str, role: str = "", uid: int | None = 1000) -> Actor:
    return Actor(user=user, role=role, via="mqtt" if uid is None else "socket", uid=uid)


@pytest.mark.parametrize(
    ("user", "role", "act", "only", "found"),
    [
        ("anna", "", "acknowledge", (), "operator"),
        ("anna", "operator", "acknowledge", (), "operator"),
        ("kim", "", "acknowledge", (), "supervisor"),
        ("kim", "operator", "acknowledge", (), "operator"),
        ("kim", "", "remove_from_service", (), "engineer"),
        ("kim", "", "acknowledge", ("operator",), "operator"),
        ("kim", "", "acknowledge", ("supervisor", "engineer"), "supervisor"),
        ("nobody-known", "", "acknowledge", (), "operator"),
    ],
)
def test_who_may_acts_in_the_first_role_that_fits(
    user: str, role: str, act: Act, only: tuple[str, ...], found: str
) -> None:
    assert acting_as(OPERATORS, actor(user, role), act, only) == found


@pytest.mark.parametrize(
    ("user", "role", "act", "only", "text"),
    [
        ("anna", "", "confirm", (), "supervisor may confirm here, anna is operator"),
        ("anna", "supervisor", "confirm", (), "anna has not the role supervisor: is operator"),
        ("leo", "", "comment", (), "operator or supervisor may comment here, leo has no role"),
        ("leo", "operator", "comment", (), "leo has not the role operator: has no role"),
        ("anna", "", "acknowledge", ("supervisor",), "supervisor may acknowledge here"),
        ("kim", "operator", "confirm", (), "supervisor may confirm here, kim as operator"),
        ("kim", "", "acknowledge", ("engineer",), "no role may acknowledge here"),
        ("kim", "", "set_state", (), "no role may set state here"),
        ("nobody-known", "", "reset", (), "supervisor may reset here, nobody-known is operator"),
    ],
)
def test_who_may_not_is_told_who_may(
    user: str, role: str, act: Act, only: tuple[str, ...], text: str
) -> None:
    refused = acting_as(OPERATORS, actor(user, role), act, only)
    assert isinstance(refused, Refusal)
    assert refused.word == "forbidden"
    assert text in refused.text


def test_where_a_file_says_nothing_everybody_may() -> None:
    assert acting_as(None, actor("anna"), "reset", ("supervisor",)) == ""
    assert acting_as(None, actor("anna", "shift lead"), "reset") == "shift lead"


@pytest.mark.parametrize("operators", [None, OPERATORS])
@pytest.mark.parametrize("uid", [0, 1000, None])
def test_nobody_asks_for_the_emergency(operators: Operators | None, uid: int | None) -> None:
    refused = acting_as(operators, actor("anna", EMERGENCY, uid), "reset", owners={0})
    assert isinstance(refused, Refusal)


@pytest.mark.parametrize(
    ("who", "found"),
    [
        (actor("root", uid=0), EMERGENCY),
        (actor("cytowatch", uid=993), EMERGENCY),
        (actor("root", "supervisor", uid=0), None),
        (actor("root", "operator", uid=0), None),
        (actor("root", uid=None), None),
        (actor("anna", uid=1000), None),
    ],
)
def test_an_owner_of_the_gateway_may_in_an_emergency_and_it_is_seen(
    who: Actor, found: str | None
) -> None:
    acted = acting_as(OPERATORS, who, "reset", owners={0, 993})
    assert (acted if isinstance(acted, str) else None) == found


def test_an_owner_with_a_role_acts_in_it() -> None:
    assert acting_as(OPERATORS, actor("kim", uid=0), "reset", owners={0}) == "supervisor"
    assert acting_as(OPERATORS, actor("root", uid=0), "comment", owners={0}) == "operator"


NAMES = st.sampled_from(["operator", "supervisor", "engineer", "auditor"])
ACTS: st.SearchStrategy[Act] = st.sampled_from(["acknowledge", "confirm", "reset", "load", "test"])


@given(
    roles=st.dictionaries(NAMES, st.frozensets(ACTS)),
    has=st.lists(NAMES, unique=True).map(tuple),
    act=ACTS,
    only=st.lists(NAMES, unique=True).map(tuple),
    named=NAMES | st.just(""),
)
def test_nobody_acts_in_a_role_that_one_has_not_or_that_may_not(
    roles: dict[str, frozenset[str]],
    has: tuple[str, ...],
    act: Act,
    only: tuple[str, ...],
    named: str,
) -> None:
    operators = Operators(roles, {"anna": has})
    found = acting_as(operators, actor("anna", named), act, only)
    fitting = {r for r in has if act in roles.get(r, ()) and (not only or r in only)}
    if named:
        fitting &= {named}
    assert isinstance(found, Refusal) == (not fitting)
    assert isinstance(found, Refusal) or found in fitting
