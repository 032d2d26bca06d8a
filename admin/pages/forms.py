"""What comes back from a form besides plain fields (`admin.forms`)."""

from collections.abc import Mapping

from aiohttp import web

from admin.problems import BadRequestError


async def chosen(request: web.Request, name: str) -> tuple[str, ...]:
    """The values of all ticked boxes of this name."""
    return tuple(value for value in (await request.post()).getall(name, []) if isinstance(value, str))


def check_typed(form: Mapping[str, str], word: str) -> None:
    """Go on only if the word was typed that a destructive act asks for.

    Raises:
        BadRequestError: It was not; names the field `confirmation`.
    """
    if form.get("confirmation", "").strip() != word:
        raise BadRequestError("This is not what was asked for.", field="confirmation", remedy=f"Type {word}")
