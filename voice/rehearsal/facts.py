"""What the demo can make out of a scenario's text: the business's name, its hours, where it is, what it costs."""

import re
from dataclasses import dataclass

_NAME = r"(?P<name>[A-Z0-9][\w&'\u2019.-]*(?:[ ](?:&|and|of|the|de|und|[A-Z0-9][\w&'\u2019-]*))*)"
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:business(?: name)?|company|name of the business|practice)[ ]*[:=][ ]*{_NAME}",
        rf"(?i:reception(?:ist)?|assistant|agent|front desk|secretary|operator)[ ](?i:of|at|for)[ ](?:the[ ])?{_NAME}",
        rf"(?i:answer(?:ing)?|take)[ ](?:the[ ])?(?i:phone|calls?)[ ](?i:of|at|for)[ ](?:the[ ])?{_NAME}",
        rf"(?i:you are|you work|speaking|calling|welcome)[ ](?i:at|for|to)[ ](?:the[ ])?{_NAME}",
        rf"(?i:empfang|rezeption|accueil|recepción|reception)[ ](?i:von|bei|der|des|de|du|di|van)[ ]{_NAME}",
    )
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CONCRETE = re.compile(
    r"(?i)\d|\b(mon|tues|wednes|thurs|fri|satur|sun)day|weekend|daily|montag|freitag|lundi|vendredi|lunes|viernes"
)
_ABOUT = {
    "hours": r"\b(open|opening|closed|closes|business hours|hours)\b|geöffnet|öffnungszeiten|ouvert|horaires"
    r"|abierto|horario|aperti|orari|geopend|openingstijden|otwarte|godziny|aberto",
    "where": r"\b(address|located|location|street|road)\b|adresse|straße|dirección|indirizzo|adres|endereço",
    "price": r"\b(price|prices|costs?|fee|charge)\b|preis|prix|precio|prezzo|prijs|cena|preço",
}


@dataclass(frozen=True)
class Facts:
    """What was found; None where nothing was."""

    business: str | None
    hours: str | None
    where: str | None
    price: str | None

    @classmethod
    def read(cls, instructions: str) -> "Facts":
        """Read a scenario's text."""
        found = (match for pattern in _NAMES if (match := pattern.search(instructions)) is not None)
        name = next(found, None)
        return cls(
            business=None if name is None else name["name"].rstrip(".,"),
            hours=_about("hours", instructions),
            where=_about("where", instructions),
            price=_about("price", instructions),
        )


def _about(topic: str, instructions: str) -> str | None:
    """The sentences that say something concrete about a topic, such as "We are open from 8 to 17 o'clock."."""
    pattern = re.compile(_ABOUT[topic], re.IGNORECASE)
    concrete = [
        one.strip(" -*\t") for one in _SENTENCE.split(instructions) if pattern.search(one) and _CONCRETE.search(one)
    ]
    return " ".join(concrete[:2]) or None


_QUOTED = re.compile('["\u201c\u201e\u00ab](?P<words>[^"\u201c\u201d\u201e\u00ab\u00bb]{2,400})["\u201d\u201c\u00bb]')


def sentence_to_say(order: str) -> str | None:
    """The very words that an order like `Greet the caller with "Good morning."` wants said."""
    match = _QUOTED.search(order)
    return None if match is None else match["words"].strip()


_KEYS = re.compile(r"(?i)\bpress(?:ed)?\b[^\d*#]{0,30}(?P<keys>[\d*#](?:[ ,]*[\d*#])*)")


def keys_in(text: str) -> str | None:
    """The keys of a text such as "Caller pressed 1"; None when it tells of none."""
    match = _KEYS.search(text)
    return None if match is None else re.sub(r"[ ,]", "", match["keys"])
