"""What a browser calls itself, short enough for a list of devices."""

from typing import Final

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""Each also says that it is those below it."""
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def label_of(user_agent: str | None) -> str:
    """Such as "Firefox on Linux"; nothing of it is more exact than that, and none of it is proof."""
    text = user_agent or ""
    browser = next((name for sign, name in _BROWSERS if sign in text), "A browser")
    system = next((name for sign, name in _SYSTEMS if sign in text), None)
    return browser if system is None else f"{browser} on {system}"
