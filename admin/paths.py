"""Where to go next: a path of this server, whatever somebody has put into a link."""

from urllib.parse import urlsplit

from aiohttp import web


def safe_path(text: str | None, otherwise: str = "/") -> str:
    r"""`text` if it is a path of this server, with its query; else `otherwise`.

    Browsers take `//host`, `/\host` and a tab in between for another server (WHATWG URL, 4.4): none of these passes.
    """
    if text is None or not text.startswith("/") or text.startswith("//") or "\\" in text:
        return otherwise
    if any(ord(character) < 0x21 or ord(character) == 0x7F for character in text):
        return otherwise
    return text


def came_from(request: web.Request, otherwise: str = "/") -> str:
    """The page of ours that a form was sent from."""
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return otherwise
    if referrer.netloc.lower() != request.host.lower():
        return otherwise
    return safe_path(f"{referrer.path}?{referrer.query}" if referrer.query else referrer.path, otherwise)
