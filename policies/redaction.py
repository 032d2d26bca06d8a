"""What viewers see of a transcript that is to be redacted: what was talked about, not who it was or how to reach them.

Masked are digits, number words in a row, mail addresses, letters that spell a word, and what follows where people say
their name. The rules of all languages are tried on every text, because callers change languages, and a word too many
that is masked harms less than one too few. This is no promise that nothing personal is left: whoever may not know gets
`none`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

NUMBER: Final = "[number]"
MAIL: Final = "[e-mail]"
NAME: Final = "[name]"
SPELLED: Final = "[spelled]"

_NUMBER_WORDS: Final = (
    # English
    r"zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|double|triple"
    # German
    r"|null|eins|ein|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|zwanzig|dreißig|dreissig|vierzig"
    r"|fünfzig|sechzig|siebzig|achtzig|neunzig|hundert|doppelt"
    # French
    r"|zéro|un|deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingt|trente|quarante"
    r"|cinquante|soixante|cent"
    # Spanish
    r"|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|veinte|treinta|cuarenta"
    r"|cincuenta|sesenta|setenta|ochenta|noventa|cien"
    # Italian
    r"|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|undici|dodici|venti|trenta|quaranta|cinquanta|sessanta|settanta"
    r"|ottanta|novanta|cento"
    # Dutch
    r"|nul|één|een|twee|drie|vijf|zes|zeven|negen|tien|twaalf|twintig|dertig|veertig|vijftig|zestig|zeventig|tachtig"
    r"|negentig|honderd|dubbel"
    # Portuguese
    r"|um|dois|duas|três|quatro|seis|sete|oito|nove|dez|onze|doze|vinte|trinta|quarenta|cinquenta|sessenta|setenta"
    r"|oitenta|noventa|cem|meia"
    # Polish
    r"|jeden|dwa|trzy|cztery|pięć|sześć|siedem|osiem|dziewięć|dziesięć|dwadzieścia|trzydzieści|czterdzieści"
)

_INTRODUCTIONS: Final = (
    r"my name(?:'s|\u2019s| is)", r"name is", r"i(?:'m| am) called", r"the name(?:'s|\u2019s| is)",
    r"mein name ist", r"mein name lautet", r"der name ist", r"ich hei(?:ß|ss)e",
    r"je m['\u2019 ]appelle", r"mon nom est", r"mon nom,? c['\u2019]est",
    r"me llamo", r"mi nombre es",
    r"mi chiamo", r"il mio nome è",
    r"mijn naam is", r"ik heet",
    r"(?:o )?meu nome é", r"(?:eu )?(?:me )?chamo(?:-me)?",
    r"nazywam się", r"mam na imię", r"moje imię to",
)  # fmt: skip  # a language a line
"""After these comes a name, however it is written."""
_POSSIBLE_INTRODUCTIONS: Final = (
    r"this is", r"i am", r"i['\u2019]m", r"speaking with",
    r"hier ist", r"hier spricht", r"ich bin",
    r"je suis", r"ici",
    r"soy", r"habla",
    r"sono", r"parla",
    r"ik ben", r"u spreekt met", r"je spreekt met",
    r"sou", r"fala",
    r"tu", r"jestem",
)  # fmt: skip  # a language a line
"""After these comes a name if it is written like one."""
_AT: Final = r"at|ät|at-zeichen|klammeraffe|arobase|arroba|chiocciola|apenstaartje|małpa"
_DOT: Final = r"dot|punkt|point|punto|punt|ponto|kropka"
_PARTICLES: Final = "von|van|vom|zu|zum|zur|de|der|den|del|della|di|da|dos|das|du|des|la|le|los|ter|ten|van't|bin|al|el"
"""Stand within names, before their last word."""
_ENDINGS: Final = f"and|und|et|y|e|en|i|from|aus|z|but|aber|calling|{_PARTICLES}"
"""Are no names themselves: here one ends although the sentence goes on."""
_WORD: Final = r"[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*"
_CAPITALISED: Final = (
    r"(?-i:[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŹŻŽ])" + r"(?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*"
)
_FLAGS: Final = re.IGNORECASE
_LONG: Final = 4

_NUMBER_RUN: Final = re.compile(rf"\b(?:{_NUMBER_WORDS})(?:[\s,.-]+(?:{_NUMBER_WORDS}))" + r"{2,}\b", _FLAGS)
_DIGITS: Final = re.compile(r"\+?\d(?:[\d\s().:/\u2010-\u2015-]*\d)?")
_WRITTEN_MAIL: Final = re.compile(r"[\w.+'-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")
_SPOKEN_MAIL: Final = re.compile(
    rf"\b[\w-]+(?:\s(?:{_DOT})\s[\w-]+)*\s(?:{_AT})\s[\w-]+(?:\s(?:{_DOT})\s[\w-]+)+", _FLAGS
)
_LETTERS: Final = re.compile(r"\b[^\W\d_](?:[\s,.-]+[^\W\d_]\b){2,}")
_NAME_WORD: Final = rf"(?!(?:{_ENDINGS})\b){_WORD}"
_MORE: Final = rf"(?:\s+(?:{_PARTICLES})){{0,3}}\s+"
_NAMES: Final = re.compile(
    rf"\b({'|'.join(_INTRODUCTIONS)})(\s*[,:]?\s+){_NAME_WORD}(?:{_MORE}{_NAME_WORD}){{0,2}}", _FLAGS
)
_LIKELY_NAMES: Final = re.compile(
    rf"\b({'|'.join(_POSSIBLE_INTRODUCTIONS)})(\s+){_CAPITALISED}(?:{_MORE}{_CAPITALISED}){{0,2}}", _FLAGS
)


def redact_together(texts: Sequence[str], said: Sequence[str] = ()) -> list[str]:
    """Texts of one call; a name that stands once in them, or in what else was said, is masked wherever it stands."""
    names = {word for text in (*texts, *said) for word in _name_words(text)}
    if not names:
        return [redact(text) for text in texts]
    listed = "|".join(re.escape(word) for word in sorted(names, key=len, reverse=True))
    again = re.compile(rf"\b(?:{listed})(?:['\u2019]?s)?\b(?:\s+(?:{listed})\b)*", _FLAGS)
    return [again.sub(NAME, redact(text)) for text in texts]


def redact(text: str) -> str:
    """The text without what tells who somebody is or how they are reached."""
    text = _WRITTEN_MAIL.sub(MAIL, text)
    text = _SPOKEN_MAIL.sub(MAIL, text)
    text = _NAMES.sub(rf"\1\2{NAME}", text)
    text = _LIKELY_NAMES.sub(rf"\1\2{NAME}", text)
    text = _LETTERS.sub(SPELLED, text)
    text = _NUMBER_RUN.sub(NUMBER, text)
    return _DIGITS.sub(NUMBER, text)


def _name_words(text: str) -> Iterator[str]:
    """Words of names that are worth looking for elsewhere: written like one, or too long for a little word."""
    for introductions in (_NAMES, _LIKELY_NAMES):
        for found in introductions.finditer(text):
            for word in re.findall(_WORD, found[0][len(found[1]) :]):
                if (word[0].isupper() and len(word) > 1) or len(word) >= _LONG:
                    yield word
