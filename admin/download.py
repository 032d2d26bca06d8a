"""A file that is sent while it is made. What breaks off is seen to be broken off, and no error is written into it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

log = structlog.get_logger()


@asynccontextmanager
async def download(request: web.Request, name: str, content_type: str) -> AsyncIterator[web.StreamResponse]:
    """The answer to write to; `name` is that of the file."""
    response = web.StreamResponse(
        headers={
            "Content-Type": content_type,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
    )
    await response.prepare(request)
    try:
        yield response
        await response.write_eof()
    except ConnectionError:  # whoever asked has gone
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, what was sent must not look whole
        log.error("download_broken_off", error=type(error).__name__)  # noqa: TRY400  # its text may be personal
        if request.transport is not None:
            request.transport.abort()  # else the end of what was sent would look like the end of the file
        raise ConnectionResetError("broken off") from None
