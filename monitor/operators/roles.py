"""Who may do what, by what the site's file says of roles. Pure.

The name is proven before anything comes here: a login by the kernel, a user by the broker's access
list. What the file gives that name counts, and nothing that a request says of itself.
"""

from collections.abc import Collection, Iterable

from config.plant import Operators
from monitor.alarms.facts import Refusal
from monitor.messages import Act, Actor

EMERGENCY = "EMERGENCY"
"""The role on the record of an act that nobody but an owner of the gateway was allowed just then.

No role in a file can be called so: names there are lower case.
"""


def acting_as(
    operators: Operators | None,
    actor: Actor,
    act: Act,
    only: Collection[str] = (),
    owners: Collection[int] = (),
) -> str | Refusal:
    """Return the role in which ``actor`` does ``act``, or why that may not be.

    ``only`` are the roles that an alarm's rule names beside (none: any). ``owners`` are the uids
    that own the gateway: at the local socket they may do what their roles do not let them, as
    ``EMERGENCY``, unless they name a role themselves. A site whose file says nothing of operators
    lets everybody act who reaches the gateway; then the role is what the actor says.
    """
    if operators is None:
        return _as_said(actor)
    has = operators.users.get(actor.user, operators.others)
    if actor.role and actor.role not in has:
        return Refusal("forbidden", f"{actor.user} has not the role {actor.role}: {_has(has)}")
    allowed = _allowed(operators, act, only)
    fitting = [role for role in has if role in allowed and actor.role in {"", role}]
    if fitting:
        return fitting[0]
    if not actor.role and actor.via == "socket" and actor.uid in owners:
        return EMERGENCY
    return _forbidden(actor, act, allowed, has)


def _as_said(actor: Actor) -> str | Refusal:
    """The role that the actor gives, of which nobody knows anything; but nobody plays the owner."""
    if actor.role == EMERGENCY:
        return Refusal("forbidden", f"{EMERGENCY} is no role that anybody can ask for")
    return actor.role


def _allowed(operators: Operators, act: Act, only: Collection[str]) -> list[str]:
    """The roles that may do it, in the order of the file."""
    return [
        role for role, acts in operators.roles.items() if act in acts and (not only or role in only)
    ]


def _forbidden(actor: Actor, act: Act, allowed: list[str], has: Iterable[str]) -> Refusal:
    words = act.replace("_", " ")
    if not allowed:
        return Refusal("forbidden", f"no role may {words} here: the site's file allows it to none")
    asked = f"as {actor.role}" if actor.role else _has(has)
    return Refusal("forbidden", f"{' or '.join(allowed)} may {words} here, {actor.user} {asked}")


def _has(roles: Iterable[str]) -> str:
    named = " and ".join(roles)
    return f"is {named}" if named else "has no role"
