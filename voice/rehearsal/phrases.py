"""The sentences that the demo understands in English, and what each is after."""

from voice.rehearsal.ears import Vocabulary, expand

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = ("today", "tomorrow", *WEEKDAYS)
_DAY = "(" + "|".join(DAYS) + ")"

_SOMEBODY = "(a human|a person|a real person|someone|an operator|the front desk|the manager)"

_INTENTS: dict[str, tuple[str, ...]] = {
    "hours": (
        "what are your [opening|business] hours",
        "opening hours",
        "when (are you open|do you open|do you close)",
        "what time do you (open|close)",
        f"are you open [on] {_DAY}",
    ),
    "book": (
        f"[i would like|i want|i need|can i] [to] [book|make|have] an appointment [[for|on] {_DAY}]",
        "i would like to book a (check up|day|table)",
    ),
    "day": (f"[on|for|next] {_DAY}",),
    "message": ("[i would like to|i want to|can i] leave a message", "[can you] take a message"),
    "person": (
        f"[i want to|i would like to|can i] (speak|talk) to {_SOMEBODY}",
        "connect me",
        "transfer me",
        "put me through",
        "operator",
    ),
    "where": ("where are you [located]", "what is your address", "how do i get there"),
    "price": ("how much (is it|does it cost)", "what is the price"),
    "yes": (
        "yes [that's right|that is right|that is correct|of course]",
        "yeah",
        "okay",
        "sure",
        "correct",
        "that's right",
        "of course",
    ),
    "no": ("no [thank you|thanks]", "nope", "no that's wrong", "that is wrong"),
    "bye": (
        "[no] [thank you|thanks] (goodbye|bye bye|bye)",
        "[no] (that is all|that's all|nothing else) [thank you|thanks|goodbye]",
        "hang up",
    ),
    "repeat": ("(can|could) you repeat that", "say that again", "what did you say", "repeat"),
    "help": ("help [me]", "what can (you do|i say)"),
    "who": (
        "who are you",
        "are you (a robot|a machine|a computer|human|a real person)",
        "am i (talking|speaking) to (a robot|a machine|a computer|a human|a real person)",
    ),
    "hello": ("hello", "hi", "good (morning|afternoon|evening)", "can you hear me", "are you there"),
    "thanks": ("thank you [very much]", "thanks [a lot]"),
}

_DECOYS = (
    "i am calling about",
    "my name is",
    "i have a question about",
    "do you sell",
    "one moment",
    "wait a minute",
    "i don't know",
    "just a second",
    "the quick brown",
    "can you call me back",
    "my number is",
    "it is raining",
    "this is",
    "last week",
    "the invoice",
    "from the bank",
    "what was that",
    "we should meet",
    "when i chew",
    "i cannot hear you",
    "bicycle tyres",
    "what a lovely",
    "who won",
    "next year",
    "yesterday",
)


INTENT_OF: dict[str, str] = {
    phrase: intent for intent, patterns in _INTENTS.items() for pattern in patterns for phrase in expand(pattern)
}
"""Every single sentence to its intent; "please" may follow any of them."""

ENGLISH = Vocabulary(
    name="demo",
    meanings={pattern: None for patterns in _INTENTS.values() for pattern in patterns},
    decoys=_DECOYS,
    ending="please",
    pronunciations={"nope": "N OW P"},
    least_score=-6.0,
)
"""What the ear listens for; the words themselves are the transcript."""


def day_in(text: str) -> str | None:
    """The day that is named in a sentence."""
    return next((day for day in DAYS if day in text.split()), None)
