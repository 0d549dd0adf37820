"""Who may do what, from the file to the plant, and what is said of roles that are not there."""

from pathlib import Path
from typing import get_args

import pytest

from config.operators import ACTS
from monitor.messages import AlarmAct, EquipmentAct
from tests.config.site_text import GOOD, loaded, problems

OPERATORS = """\
operators:
  roles: {operator: [acknowledge, shelve], chief: all}
  users: {anna: [operator], "EXAMPLE\\\\kim": [operator, chief]}
  others: [operator]
"""


def test_roles_users_and_others_come_to_the_plant(tmp_path: Path) -> None:
    operators = loaded(tmp_path, GOOD + OPERATORS).operators
    assert operators is not None
    assert operators.roles == {"operator": {"acknowledge", "shelve"}, "chief": ACTS}
    assert operators.users == {
        "anna": ("operator",),
        "EXAMPLE\\kim": ("operator", "chief"),
    }
    assert operators.others == ("operator",)


def test_a_file_that_says_nothing_of_operators_has_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).operators is None


def test_all_is_every_act_that_there_is() -> None:
    assert {*get_args(AlarmAct), *get_args(EquipmentAct), "resend", "test"} == ACTS


FAULTS = {
    "unknown act": (
        "[acknowledge, shelve]",
        "[acknowlege]",
        [
            (
                "29:22: operators.roles.operator.0: should be 'acknowledge', 'confirm', 'reset', "
                "'shelve', 'unshelve', 'remove_from_service', 'return_to_service', 'comment', "
                "'set_state', 'load', 'unload', 'resend' or 'test'; did you mean 'acknowledge'?"
            )
        ],
    ),
    "another word than all": (
        "chief: all",
        "chief: everything",
        ["29:51: operators.roles.chief: should be the word all, or a list of acts"],
    ),
    "a user's role": (
        "anna: [operator]",
        "anna: [operater]",
        ["30:18: operators.users.anna.0: there is no role 'operater'; did you mean 'operator'?"],
    ),
    "others' role": (
        "others: [operator]",
        "others: [operator, x]",
        ["31:22: operators.others.1: there is no role 'x'; there are chief, operator"],
    ),
    "no roles at all": (
        "{operator: [acknowledge, shelve], chief: all}",
        "{}",
        ["29:10: operators.roles: should have at least 1 item in it, not none"],
    ),
    "a role is no name": (
        "chief: all",
        "Chief: all",
        [
            (
                "29:44: operators.roles.Chief: "
                "a name is lower case letters, digits, - and _, at most 63 (got 'Chief')"
            )
        ],
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_said_where_it_is_and_alone(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert OPERATORS.count(old) == 1
    assert problems(tmp_path, GOOD + OPERATORS.replace(old, new)) == said


def test_a_role_that_could_not_be_read_is_not_called_unknown_as_well(tmp_path: Path) -> None:
    text = GOOD + OPERATORS.replace("[acknowledge, shelve]", "[acknowlege]")
    text += "classes: {gmp: {roles: [nobody]}}\n"
    assert [each.split(": ")[1] for each in problems(tmp_path, text)] == [
        "operators.roles.operator.0"
    ]
