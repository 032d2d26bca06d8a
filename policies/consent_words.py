"""Which words of a caller mean yes, and which no, when asked for consent.

Consent must be clear, so the rules lean to "unclear": both at once, a doubt, a counter-question, or a yes somewhere in
a long speech are no yes. Longer phrases are understood before the words in them: "no problem" is a yes, "of course
not" a no. Words that also mean other things ("okay, I would like to…", "puede ayudarme") count only where nothing else
is said.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from policies.languages import nearest_language

Heard = Literal["yes", "no", "unclear"]
_Meaning = Literal["yes", "no", "yes alone", "no alone", "doubt", "filler"]

_MOST_OTHER_WORDS_BESIDE_A_YES = 8
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def hear(text: str, language: str) -> Heard:
    """What a caller who was asked for consent has answered, by a transcript in this language (BCP 47)."""
    meanings, other_words = _VOCABULARIES[nearest_language(language)].understand(_words(text))
    meanings.discard("filler")
    if meanings and meanings <= {"no", "no alone"}:
        return "no" if "no" in meanings or not other_words else "unclear"
    if meanings and meanings <= {"yes", "yes alone"}:
        return "yes" if other_words <= (_MOST_OTHER_WORDS_BESIDE_A_YES if "yes" in meanings else 0) else "unclear"
    return "unclear"


SPOKEN_YES = frozenset({"en", "de", "fr", "nl"})
"""Languages in which a yes may be spoken. A telephone leaves next to nothing of the s of "sí", "sì" and "sim", so that
the local ear cannot tell them from "chi?" or "quem?", nor "tak" from "jak?": there a key alone is a yes."""


def yes_may_be_spoken(language: str) -> bool:
    """Whether a yes in this language (BCP 47) counts that was only heard. A no always does: it harms nobody."""
    return nearest_language(language) in SPOKEN_YES


def hear_key(digit: str) -> Heard:
    """What a key means as an answer: 1 is yes, 2 is no."""
    return "yes" if digit == "1" else "no" if digit == "2" else "unclear"


def consent_phrases(language: str, meaning: Literal["yes", "no"]) -> tuple[str, ...]:
    """The phrases of one clear meaning, in lower case and without accents: what a local ear may listen for."""
    meanings = _VOCABULARIES[nearest_language(language)].meanings
    return tuple(" ".join(phrase) for phrase, what in meanings.items() if what == meaning)


def _words(text: str) -> tuple[str, ...]:
    """Words in lower case, without accents, apostrophes straight: as ears and people differ in writing them."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").casefold().replace("\u0142", "l"))
    return tuple(_WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter))))


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    meanings: dict[tuple[str, ...], _Meaning]
    longest: int
    """Words in the longest phrase."""

    def understand(self, words: tuple[str, ...]) -> tuple[set[_Meaning], int]:
        """The meanings found, longest phrases first, and how many words belong to none."""
        found: set[_Meaning] = set()
        others = 0
        at = 0
        while at < len(words):
            phrase = next(
                (words[at:end] for end in range(at + self.longest, at, -1) if words[at:end] in self.meanings), None
            )
            if phrase is None:
                others += 1
                at += 1
            else:
                found.add(self.meanings[phrase])
                at += len(phrase)
        return found, others


_FILLER = """
    uh, uhm, um, hm, hmm, mhm, ah, oh, eh, ehm, äh, ähm, öh, euh, please, thanks, thank you, bitte, danke, merci,
    s'il vous plaît, gracias, por favor, grazie, per favore, dank u, dank u wel, bedankt, alstublieft, dziękuję,
    obrigado, obrigada
"""


def _vocabulary(*, yes: str, no: str, yes_alone: str, no_alone: str, doubt: str) -> _Vocabulary:
    """From phrases with commas between them. A negation that stands in no phrase is a doubt."""
    meanings: dict[tuple[str, ...], _Meaning] = {}
    said: tuple[tuple[_Meaning, str], ...] = (
        ("filler", _FILLER),
        ("yes alone", yes_alone),
        ("no alone", no_alone),
        ("doubt", doubt),
        ("yes", yes),
        ("no", no),
    )
    for meaning, phrases in said:
        meanings.update({_words(phrase): meaning for phrase in phrases.split(",")})
    return _Vocabulary(meanings, max(map(len, meanings)))


_VOCABULARIES = {
    "en": _vocabulary(
        yes="""
            yes, yeah, yep, yup, yes please, sure, sure thing, of course, certainly, absolutely, definitely, that's
            fine, thats fine, that is fine, fine with me, that's ok, that's okay, that is okay, go ahead, please do,
            i agree, agreed, i consent, i accept, you may record, you can record, no problem, not a problem, i don't
            mind, i dont mind, i do not mind, don't mind, by all means, i have no objection, no objection, no
            objections
        """,
        no="""
            no, nope, nah, no way, no thanks, no thank you, never, of course not, certainly not, absolutely not,
            definitely not, not ok, not okay, not fine, that's not fine, that's not okay, that is not okay, rather
            not, please don't, please do not, please dont, don't, dont, do not, don't record, do not record, i don't
            agree, i do not agree, don't agree, i don't consent, i do not consent, i disagree, i refuse, i decline,
            i object, i mind, you may not, you can't, you can not, you cannot, i don't want, i do not want, don't
            want, not at all
        """,
        yes_alone="""
            ok, okay, fine, all right, alright, you may, you can, why not, correct, right, one, 1, press one, press
            1
        """,
        no_alone="two, 2, press two, press 2",
        doubt="""
            not, maybe, perhaps, i don't know, i dont know, i do not know, don't know, not sure, i'm not sure, but,
            if, unless, why, what, who, when, how, which, where, wait, hold on, one moment, one second, just a
            moment, pardon, sorry, depends, don't understand, i don't understand, do not understand, don't get,
            never mind, no idea, no one, nobody, do you, can you, could you, are you, is this, is it
        """,
    ),
    "de": _vocabulary(
        yes="""
            ja, jo, jawohl, ja bitte, ja gerne, ja gern, na klar, natürlich, selbstverständlich, in ordnung,
            einverstanden, ich bin einverstanden, bin einverstanden, ich stimme zu, stimme zu, von mir aus,
            meinetwegen, kein problem, keine einwände, kein einwand, nichts dagegen, habe nichts dagegen, ich habe
            nichts dagegen, dürfen sie, sie dürfen, machen sie das, geht klar
        """,
        no="""
            nein, nee, nö, nein danke, niemals, auf keinen fall, keinesfalls, natürlich nicht, sicher nicht, klar
            nicht, na klar nicht, selbstverständlich nicht, lieber nicht, bitte nicht, nicht einverstanden, ich bin
            nicht einverstanden, bin nicht einverstanden, nicht in ordnung, nicht okay, nicht ok, ich stimme nicht
            zu, stimme nicht zu, dürfen sie nicht, sie dürfen nicht, dürfen sie das nicht, möchte ich nicht, ich
            möchte nicht, ich möchte das nicht, das möchte ich nicht, will ich nicht, ich will nicht, ich will das
            nicht, das will ich nicht, ich lehne ab, ich widerspreche, ich habe was dagegen, ich habe etwas dagegen
        """,
        yes_alone="gern, gerne, klar, sicher, ok, okay, passt, gut, warum nicht, eins, 1, die eins, die 1",
        no_alone="ne, zwei, 2, die zwei, die 2",
        doubt="""
            nicht, kein, keine, keinen, vielleicht, ich weiß nicht, weiß nicht, weiß ich nicht, das weiß ich nicht,
            keine ahnung, nicht sicher, ich bin nicht sicher, bin mir nicht sicher, ich bin mir nicht sicher, aber,
            wenn, falls, warum, wieso, weshalb, was, wer, wie, wo, wann, wozu, wofür, moment, einen moment, warten
            sie, wie bitte, kommt darauf an, nicht verstanden, jein, können sie, könnten sie, sind sie
        """,
    ),
    "fr": _vocabulary(
        yes="""
            oui, ouais, oui merci, d'accord, daccord, je suis d'accord, bien sûr, certainement, absolument,
            volontiers, j'accepte, je consens, allez-y, vous pouvez enregistrer, je veux bien, pas de problème, il
            n'y a pas de problème, y a pas de problème, aucun problème, pas de souci, aucun souci, pas d'objection,
            aucune objection, ça ne me dérange pas, ça me dérange pas, je n'ai rien contre, rien contre
        """,
        no="""
            non, non merci, nan, pas d'accord, je ne suis pas d'accord, je suis pas d'accord, suis pas d'accord,
            bien sûr que non, certainement pas, absolument pas, surtout pas, pas du tout, jamais, pas question, hors
            de question, je refuse, je n'accepte pas, j'accepte pas, vous ne pouvez pas, je ne veux pas, je veux
            pas, je préfère pas, je ne préfère pas, je préfère ne pas, je préfère que non, ça me dérange, je
            m'oppose, n'enregistrez pas
        """,
        yes_alone="ok, okay, entendu, vous pouvez, c'est bon, ça marche, pourquoi pas, un, 1, le un",
        no_alone="deux, 2, le deux",
        doubt="""
            pas, ne, aucun, aucune, peut-être, je ne sais pas, je sais pas, sais pas, pas sûr, je ne suis pas sûr,
            mais, si, pourquoi, quoi, qui, comment, quand, où, est-ce que, attendez, un instant, un moment, pardon,
            ça dépend, je ne comprends pas, je comprends pas, je n'ai pas compris, j'ai pas compris, pouvez-vous,
            êtes-vous
        """,
    ),
    "es": _vocabulary(
        yes="""
            sí, sí por favor, claro que sí, por supuesto, desde luego, de acuerdo, estoy de acuerdo, acepto, sí
            acepto, conforme, cómo no, sin problema, no hay problema, no hay ningún problema, ningún problema, no me
            importa, no tengo inconveniente, ningún inconveniente
        """,
        no="""
            no, no gracias, no puede, no pueden, claro que no, por supuesto que no, desde luego que no, de ninguna
            manera, en absoluto, nunca, jamás, no quiero, no acepto, no estoy de acuerdo, prefiero que no, mejor no,
            me niego, me opongo, ni hablar
        """,
        yes_alone="""
            claro, vale, bueno, bien, ok, okay, adelante, puede, pueden, pueden grabar, puede grabar, por qué no,
            uno, 1, el uno
        """,
        no_alone="dos, 2, el dos",
        doubt="""
            quizás, quizá, tal vez, no sé, no lo sé, no estoy seguro, no estoy segura, pero, por qué, qué, quién,
            cómo, cuándo, dónde, espere, un momento, perdón, perdone, depende, no entiendo, no le entiendo, no he
            entendido, no entendí, ni
        """,
    ),
    "it": _vocabulary(
        yes="""
            sì, sì grazie, certo che sì, certamente, va bene, d'accordo, sono d'accordo, volentieri, senz'altro,
            assolutamente sì, accetto, acconsento, fate pure, faccia pure, nessun problema, non c'è problema, non ci
            sono problemi, nulla in contrario, niente in contrario, non ho nulla in contrario, non ho niente in
            contrario
        """,
        no="""
            no, no grazie, certo che no, certamente no, assolutamente no, non va bene, non sono d'accordo, non
            accetto, non acconsento, non può, non potete, non voglio, preferisco di no, meglio di no, mai, per
            niente, niente affatto, mi rifiuto, rifiuto, mi oppongo
        """,
        yes_alone="certo, ok, okay, bene, può, potete, potete registrare, prego, perché no, uno, 1, l'uno",
        no_alone="due, 2, il due",
        doubt="""
            non, né, forse, non so, non lo so, non sono sicuro, non sono sicura, ma, però, se, perché, cosa, che
            cosa, chi, come, quando, dove, aspetti, un momento, un attimo, scusi, dipende, non ho capito, non
            capisco
        """,
    ),
    "nl": _vocabulary(
        yes="""
            ja, jawel, ja hoor, ja graag, natuurlijk, vanzelfsprekend, dat is goed, is goed, akkoord, ik ga akkoord,
            ik ben akkoord, tuurlijk, dat mag, geen probleem, geen bezwaar, ik heb geen bezwaar, ik heb er geen
            bezwaar tegen, vind ik goed, dat vind ik goed, ga uw gang
        """,
        no="""
            nee, neen, nee hoor, nee dank u, nee bedankt, nooit, liever niet, zeker niet, natuurlijk niet, tuurlijk
            niet, absoluut niet, niet akkoord, ik ga niet akkoord, niet goed, dat is niet goed, vind ik niet goed,
            dat vind ik niet goed, mag niet, dat mag niet, wil ik niet, dat wil ik niet, ik wil niet, ik wil dat
            niet, ik weiger, ik heb bezwaar, in geen geval, geen sprake van
        """,
        yes_alone="graag, zeker, prima, goed, ok, oké, okay, mag, waarom niet, één, 1",
        no_alone="twee, 2",
        doubt="""
            niet, geen, misschien, ik weet niet, ik weet het niet, weet ik niet, dat weet ik niet, weet niet, geen
            idee, niet zeker, maar, als, waarom, wat, wie, hoe, wanneer, waar, wacht, wacht even, een moment,
            ogenblik, een ogenblik, pardon, sorry, hangt ervan af, niet begrepen, ik begrijp het niet, kunt u
        """,
    ),
    "pl": _vocabulary(
        yes="""
            tak, tak proszę, jasne, oczywiście, pewnie, zgoda, zgadzam się, wyrażam zgodę, w porządku, nie ma
            problemu, żaden problem, bez problemu, nie mam nic przeciwko, nie mam nic przeciwko temu
        """,
        no="""
            nie, nie dziękuję, oczywiście nie, oczywiście że nie, jasne że nie, pewnie że nie, nie zgadzam się, nie
            wyrażam zgody, brak zgody, nie ma zgody, nie można, nie może pan, nie może pani, nie mogą państwo, nie
            chcę, wolę nie, wolałbym nie, wolałabym nie, raczej nie, proszę nie, proszę nie nagrywać, nigdy, w
            żadnym wypadku, absolutnie nie, odmawiam, sprzeciwiam się
        """,
        yes_alone="""
            dobrze, proszę, proszę bardzo, można, może pan, może pani, mogą państwo, mogą państwo nagrywać, ok,
            okej, okay, czemu nie, dlaczego nie, jeden, 1, jedynka
        """,
        no_alone="dwa, 2, dwójka",
        doubt="""
            no, może, być może, nie wiem, nie jestem pewien, nie jestem pewna, ale, jeśli, jeżeli, dlaczego, czemu,
            co, kto, jak, kiedy, gdzie, czy, chwileczkę, chwila, chwilę, moment, słucham, przepraszam, zależy, nie
            rozumiem, nie zrozumiałem, nie zrozumiałam
        """,
    ),
    "pt": _vocabulary(
        yes="""
            sim, sim por favor, claro que sim, com certeza, certamente, concordo, estou de acordo, de acordo, pode
            sim, aceito, sem problema, sem problemas, não há problema, não tem problema, nenhum problema, não me
            importo, à vontade
        """,
        no="""
            não, não obrigado, não obrigada, claro que não, de modo nenhum, de maneira nenhuma, de jeito nenhum,
            nunca, jamais, não pode, não podem, não quero, não concordo, não aceito, não estou de acordo, prefiro
            que não, prefiro não, melhor não, recuso, oponho-me, nem pensar
        """,
        yes_alone="""
            claro, está bem, tá bem, está bom, tá bom, ok, okay, pode, podem, podem gravar, pode gravar, pode ser,
            por que não, porque não, um, 1
        """,
        no_alone="dois, 2",
        doubt="""
            talvez, não sei, não tenho certeza, não tenho a certeza, mas, se, porquê, por quê, por que, porque, quê,
            o quê, o que, quem, como, quando, onde, espere, um momento, um instante, desculpe, depende, não percebi,
            não entendi, não compreendo, não compreendi, nem
        """,
    ),
}
