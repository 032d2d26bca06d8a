"""The languages that the product itself can speak, and which of them serves for another."""

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt")
FALLBACK = "en"


def nearest_language(wanted: str) -> str:
    """The language of ours that serves for a BCP 47 tag: the same base language, else English.

    "de-AT", "DE" and "de_CH" are served by "de"; "ja", an empty tag and nonsense by "en".
    """
    base = wanted.strip().replace("_", "-").split("-", maxsplit=1)[0].lower()
    return base if base in LANGUAGES else FALLBACK
