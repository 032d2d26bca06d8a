"""What stands behind the question mark of a page's address, and addresses with other things there."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from aiohttp import web

from admin.problems import BadRequestError, NotThereError

T = TypeVar("T", bound=msgspec.Struct)


def query_of(request: web.Request, kind: type[T]) -> T:
    """The fields of a filter form; those left empty are as if they were not there.

    Raises:
        BadRequestError: Names the field that is wrong.
    """
    return filled(request.query, kind)


def filled(fields: Mapping[str, str], kind: type[T]) -> T:
    """The same of any form; fields that the struct does not know are passed over. Raises `BadRequestError`."""
    known = {one.encode_name for one in msgspec.structs.fields(kind)}
    given = {name: value.strip() for name, value in fields.items() if value.strip() and name in known}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `")
        missing = text.removeprefix("Object missing required field `").rstrip("`")
        if not place and missing != text:
            raise BadRequestError("This is needed.", field=missing) from None
        raise BadRequestError(f"{text}.", field=place.rstrip("`").removeprefix("$.") or "query") from None


def blank(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The same, with an empty text for what is not there: for forms that come back."""
    return defaultdict(str, fields)


def id_in(request: web.Request, name: str) -> UUID:
    """An id in the path. Raises `NotThereError` where it is none."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise NotThereError from None


def with_query(request: web.Request, **changed: object) -> str:
    """This page's address, with these fields otherwise; None takes one out."""
    fields = {name: value for name, value in request.query.items() if value.strip() and name not in changed}
    fields |= {name: str(value) for name, value in changed.items() if value is not None}
    return address(request.path, fields)


def address(path: str, fields: Mapping[str, str]) -> str:
    """A path with these fields behind it."""
    return f"{path}?{urlencode(fields)}" if fields else path
