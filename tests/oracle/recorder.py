"""Tells of each statement that the app role sends, in whatever process it is installed. Imports nothing of ours."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

APP = "aitelier_app"
_TELL_TENANT = "SELECT set_config('app.tenant_id'"


def install(seen: Callable[[str, frozenset[str]], None]) -> None:
    """Call `seen` with each statement and the names of those parameters that are the transaction's tenant."""

    @event.listens_for(Engine, "before_cursor_execute")
    def look(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if connection.engine.url.username != APP:
            return
        if statement.startswith(_TELL_TENANT):
            connection.info["tenant"] = parameters["tenant"]
            return
        tenant = connection.info.get("tenant")
        rows = parameters if isinstance(parameters, list) else [parameters]
        names = [
            {name for name, value in row.items() if str(value) == tenant} if isinstance(row, dict) else set()
            for row in rows
        ]
        seen(statement, frozenset(set.intersection(*names) if names else ()))
