"""Serving the admin: one listening socket, TLS 1.3 where there is a certificate."""

import asyncio
import ssl

import structlog
from aiohttp import web

from admin.settings import AdminSettings

log = structlog.get_logger()


class AdminServer:
    """The admin's process, from start to end."""

    def __init__(self, settings: AdminSettings, app: web.Application) -> None:
        self._settings = settings
        self._app = app
        self._tls = _tls_context(settings)
        self._ended = asyncio.Event()
        self.ready = asyncio.Event()
        self.url = ""
        """Where it can be reached; set once `ready` is."""

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            OSError: The address cannot be listened on.
        """
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.bind, self._settings.port, ssl_context=self._tls)
            await site.start()
            host, port = runner.addresses[0][:2]
            scheme = "http" if self._tls is None else "https"
            self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
            self.ready.set()
            await self._ended.wait()
        finally:
            await runner.cleanup()

    def stop(self) -> None:
        """Finish what is being answered, then return from `run`."""
        self._ended.set()

    def reload_certificate(self) -> None:
        """Read certificate and key again; new connections get the new one. A bad one is reported and not used."""
        if self._tls is None:
            return
        try:
            _tls_context(self._settings)
            _load(self._tls, self._settings)
        except (OSError, ssl.SSLError) as error:
            log.error("certificate_not_reloaded", error=type(error).__name__)  # noqa: TRY400  # where is known
        else:
            log.info("certificate_reloaded")


def _tls_context(settings: AdminSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: AdminSettings) -> None:
    if settings.tls_certificate is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
