"""Yes and no in the product's languages, as a telephone ear that only has an English model can hear them."""

from collections.abc import Iterator
from functools import cache

from voice.rehearsal.answer_words import DECOYS, PIECES, YES_OR_NO
from voice.rehearsal.ears import Vocabulary

_LEAST_SCORE_OF_A_NO = -7.0
_LEAST_SCORE_OF_A_YES = -4.2
"""A yes wrongly heard does harm, a no wrongly heard is put right by asking again."""
_LONGEST_MS = 3_000
_PAUSE = "SIL"
"""A phone of the decoder's."""

_NO_BEGINS = ("no", "nein", "nee", "non", "nie", "não", "liever", "auf keinen")
YES_PHRASES = {
    language: frozenset(phrase for phrase in phrases if not phrase.startswith(_NO_BEGINS))
    for language, phrases in YES_OR_NO.items()
}
"""For the demo's own questions; a consent is judged by the product, from the words."""


def _as_it_is_said(phrase: str, phones: list[str], answers: dict[str, str]) -> Iterator[str]:
    """Its pronunciations, and those with a pause behind a first word that is an answer already: "yes, of course"."""
    first, *more = phrase.split()
    for one in phones:
        yield one
        for beginning in answers.get(first, "").split("|") if more else ():
            if one.startswith(f"{beginning} "):
                yield f"{beginning} {_PAUSE}{one.removeprefix(beginning)}"


def _beginnings(language: str) -> set[str]:
    """How those answers are said with which a caller may begin who then has a doubt: "yes, but who is this?"."""
    answers = YES_OR_NO[language]
    firsts = {phrase.split()[0] for phrase in YES_PHRASES[language] if " " in phrase}
    return {phones for first in firsts for phones in answers.get(first, "").split("|") if phones}


@cache
def yes_or_no(language: str) -> Vocabulary | None:
    """What to listen for in this language (its first part, such as "de"); None where there is no list.

    What is reported is the phrase itself, in its own language: what it means is for the product to judge.
    """
    answers = YES_OR_NO.get(language)
    if answers is None:
        return None
    # Each phrase is one word to the decoder, under a name of its own: the English dictionary says "nein" otherwise.
    pronunciations: dict[str, str] = {}
    meanings: dict[str, str] = {}
    decoys: list[str] = []
    said = {phones for one in answers.values() for phones in one.split("|")}
    for phrase, phones in answers.items():
        for one in _as_it_is_said(phrase, phones.split("|"), answers):
            word = f"{language}_{len(pronunciations)}"
            pronunciations[word], meanings[word] = one, phrase
    nothing = {*DECOYS[language].values(), *PIECES} - said
    # Not with the shortest pieces: the end of a plain yes is as near to them as to itself.
    doubts = {f"{yes} {_PAUSE} {one}" for yes in _beginnings(language) for one in nothing if one.count(" ") > 1}
    for one in sorted(nothing | doubts):
        word = f"{language}_{len(pronunciations)}"
        pronunciations[word] = one
        decoys.append(word)
    return Vocabulary(
        name=f"answers-{language}",
        meanings=meanings,
        decoys=tuple(decoys),
        pronunciations=pronunciations,
        least_score=_LEAST_SCORE_OF_A_NO,
        demanding=YES_PHRASES[language],
        demanded_score=_LEAST_SCORE_OF_A_YES,
        longest_ms=_LONGEST_MS,
    )
