"""The sentences that the demo understands in English, and what each is after."""

from voice.rehearsal.ears import Vocabulary, expand

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = ("today", "tomorrow", *WEEKDAYS)
_DAY = "(" + "|".join(DAYS) + ")"

_SOMEBODY = "(a human|a person|a real person|someone|somebody|an operator|the front desk|the manager|the doctor)"

_INTENTS: dict[str, tuple[str, ...]] = {
    "hours": (
        "what are your [opening|business] hours",
        "[tell me] your opening hours [please]",
        "opening hours [please]",
        "when (are you open|do you open|do you close)",
        "what time do you (open|close)",
        f"are you open [on] {_DAY}",
    ),
    "book": (
        f"[i would like|i want|i need] [to (book|make)] an appointment [[for|on] {_DAY}] [please]",
        f"can i (book|make|have) an appointment [[for|on] {_DAY}] [please]",
        f"[i would like|i want] to book a (check up|day|table) [[for|on] {_DAY}] [please]",
    ),
    "day": (f"[on|for|next] {_DAY} [please]",),
    "message": (
        "[i would like to|i want to|can i|may i] leave a message [please]",
        "[can you|could you|please] take a message [please]",
    ),
    "person": (
        f"[i want to|i would like to|can i|let me] (speak|talk) (to|with) {_SOMEBODY} [please]",
        "[please] connect me [please]",
        "[please] (transfer me|put me through) [please]",
        "operator [please]",
    ),
    "where": ("where are you [located]", "what is your address", "how do i get there"),
    "price": ("how much (is it|does it cost)", "what is the price", "what does it cost"),
    "yes": (
        "yes [please|that's right|that is right|that is correct|of course]",
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
        "[no] (that is all|that's all|that was all|nothing else) [thank you|thanks|goodbye]",
        "hang up [please]",
    ),
    "repeat": (
        "(can|could) you repeat that [please]",
        "[please] say that again [please]",
        "what did you say",
        "repeat",
    ),
    "help": ("help [me]", "what can (you do|i say)"),
    "who": (
        "who are you",
        "are you (a robot|a machine|a computer|human|a real person)",
        "am i (talking|speaking) (to|with) (a robot|a machine|a computer|a human|a real person)",
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
    "yesterday",
)


INTENT_OF: dict[str, str] = {
    phrase: intent for intent, patterns in _INTENTS.items() for pattern in patterns for phrase in expand(pattern)
}
"""Every single sentence to its intent."""

ENGLISH = Vocabulary(
    name="demo",
    meanings={pattern: None for patterns in _INTENTS.values() for pattern in patterns},
    decoys=_DECOYS,
    pronunciations={"nope": "N OW P"},
    least_score=-6.0,
)
"""What the ear listens for; the words themselves are the transcript."""


def day_in(text: str) -> str | None:
    """The day that is named in a sentence."""
    return next((day for day in DAYS if day in text.split()), None)
