"""Reading a form that a browser has sent."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from admin.problems import BadRequestError, ProblemError


async def form_of(request: web.Request) -> Mapping[str, str]:
    """The fields of a form, the last one of each name. Read again it costs nothing.

    Raises:
        ProblemError: 415 where it is no form, 422 where it is a broken one.
    """
    if request.content_type not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "This takes a form.",
            field="Content-Type",
            remedy="Send Content-Type: application/x-www-form-urlencoded",
        )
    try:
        fields = await request.post()
    except (ValueError, LookupError):  # bad UTF-8, an unknown charset, broken parts
        raise BadRequestError("The form cannot be read.", field="body") from None
    found: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            if "\0" in value:
                raise BadRequestError("This holds a character that no text has.", field=name)
            found[name] = value
    return found
