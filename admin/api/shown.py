"""What several nouns of the HTTP API have in common: how long a page is, and who did something."""

from collections.abc import Iterable, Mapping
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.ask import Ask
from policies.audit_tags import Actor, ActorKind
from store import api_keys
from store.house import open_house
from store.people import accounts

Search = Annotated[str, Meta(max_length=200)]
"""A part of a text, in capitals or not."""
Limit = Annotated[int, Meta(ge=1, le=200)]
"""Of a page."""


def holds_part(wanted: str | None, *texts: str | None) -> bool:
    """Whether one of the texts has the part that is wanted in it; True where nothing is."""
    part = (wanted or "").strip().casefold()
    return not part or any(part in text.casefold() for text in texts if text is not None)


class ShownActor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did something."""

    kind: ActorKind
    id: str
    name: str | None
    """Mail address of a person, name of a key; None once they are gone, and for the server itself."""

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        match self.kind:
            case "system":
                return "the server"
            case "operator":
                return "the operator"
            case "key":
                return f"a key that is gone ({self.id[-6:]})"
            case _:
                return f"somebody who is gone ({self.id[-6:]})"


async def shown_actors(ask: Ask, actors: Iterable[Actor]) -> Mapping[Actor, ShownActor]:
    """These actors with the names of those who are still there."""
    wanted = set(actors)
    names: dict[str, str] = {}
    if any(actor.kind == "key" for actor in wanted):
        async with ask.store() as store:
            names |= {str(key.id): key.name for key in await api_keys.list_keys(store)}
    if people := [found for actor in wanted if actor.kind == "user" and (found := _id_of(actor)) is not None]:
        async with open_house(ask.services.database) as house:
            names |= {str(user_id): email for user_id, email in (await accounts.emails_of(house, people)).items()}
    return {actor: ShownActor(kind=actor.kind, id=actor.id, name=names.get(actor.id)) for actor in wanted}


def _id_of(actor: Actor) -> UUID | None:
    try:
        return UUID(actor.id)
    except ValueError:
        return None
