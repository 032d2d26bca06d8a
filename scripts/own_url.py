"""Where this server's admin is reached, as far as its settings tell."""

from scripts.settings import Settings


def base_url(settings: Settings) -> str | None:
    """Where strangers reach the admin by https; None where they do not, or nobody has said under which name."""
    if settings.public_host is None or settings.tls_cert is None:
        return None
    host = f"[{settings.public_host}]" if ":" in settings.public_host else settings.public_host
    return f"https://{host}" if settings.admin_port == 443 else f"https://{host}:{settings.admin_port}"


def own_url(settings: Settings) -> str:
    """Where people reach it: as strangers do, or on this machine."""
    scheme = "http" if settings.tls_cert is None else "https"
    host = "127.0.0.1" if settings.admin_bind in {"0.0.0.0", "::"} else settings.admin_bind  # noqa: S104 - compared only
    return base_url(settings) or f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.admin_port}"
