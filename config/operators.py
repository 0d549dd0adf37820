"""Who may do what, as a site writes it: roles and their acts, users and their roles."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from config.model import Id, Model
from config.plant import Operators

AlarmAct = Literal[
    "acknowledge",
    "confirm",
    "reset",
    "shelve",
    "unshelve",
    "remove_from_service",
    "return_to_service",
    "comment",
]
"""What can be done about an alarm; a comment changes nothing of it."""
EquipmentAct = Literal["set_state", "load", "unload", "comment"]
"""What can be done about an equipment."""
Act = Literal[AlarmAct, EquipmentAct, "resend", "test"]
ACTS: frozenset[str] = frozenset(get_args(Act))


def _word_or_acts(value: Any) -> str:  # noqa: ANN401 - pydantic hands over whatever the file holds
    return "the word all" if isinstance(value, str) else "a list of acts"


Acts = Annotated[
    Annotated[tuple[Act, ...], Tag("a list of acts")]
    | Annotated[Literal["all"], Tag("the word all")],
    Discriminator(_word_or_acts),
]
"""``all``, or the acts one by one."""


class OperatorSettings(Model):
    """Who may do what. A file that says nothing of it lets everybody act who reaches the gateway.

    ``{roles: {operator: [acknowledge, shelve], chief: all}, users: {kim: [chief]}, others: []}``
    """

    roles: Annotated[Mapping[Id, Acts], Field(min_length=1)]
    users: Mapping[str, tuple[Id, ...]] = Field(default_factory=dict)
    """By the login on the gateway or the user at the broker."""
    others: tuple[Id, ...] = ()
    """The roles of everybody else; none: they may look, and nothing more."""


def operators(settings: OperatorSettings | None) -> Operators | None:
    """What ``settings`` come to."""
    if settings is None:
        return None
    return Operators(
        roles={
            role: ACTS if acts == "all" else frozenset(acts)
            for role, acts in settings.roles.items()
        },
        users=settings.users,
        others=settings.others,
    )
