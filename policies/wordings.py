"""What the product itself says to a caller, in each of its languages. A scenario may word any of it differently.

The only name that may stand in a wording is the business's, as {business}. Each disclosure says in its first sentence
that an AI is speaking. The consent words that a question offers are among those of `policies.consent_words`.
"""

from typing import Literal, get_args

from policies.languages import nearest_language

Kind = Literal[
    "disclosure",
    "disclosure_recorded",
    "disclosure_asking",
    "recording_notice",
    "greeting",
    "consent_question",
    "consent_retry",
    "are_you_there",
    "goodbye",
    "model_lost_take_message",
    "model_lost_transfer",
    "model_lost_end",
    "leave_message",
    "message_taken",
    "transferring",
    "transfer_failed",
    "time_is_up",
    "drain_goodbye",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


def wording(kind: Kind, language: str, *, business: str) -> str:
    """The default words of one kind, in the nearest of our languages (`nearest_language` names it)."""
    return fill(_WORDINGS[nearest_language(language)][kind], business=business)


def fill(words: str, *, business: str) -> str:
    """Words, default or a scenario's own, with the business's name in them; nothing else in braces is touched."""
    return words.replace("{business}", business.strip())


def disclosure_kind(*, disclose_ai: bool, announce_recording: bool, ask_consent: bool) -> Kind:
    """Which wording opens a call so decided. Where the caller is asked next, the question itself speaks of recording.

    "greeting" discloses nothing: it opens a call in which nothing has to be, or is, disclosed.
    """
    if not disclose_ai:
        return "recording_notice" if announce_recording and not ask_consent else "greeting"
    if not announce_recording:
        return "disclosure"
    return "disclosure_asking" if ask_consent else "disclosure_recorded"


_WORDINGS: dict[str, dict[Kind, str]] = {
    "en": {
        "disclosure": "Hello, you are speaking with the AI assistant of {business}.",
        "disclosure_recorded": "Hello, you are speaking with the AI assistant of {business}. This call is recorded.",
        "disclosure_asking": (
            "Hello, you are speaking with the AI assistant of {business}. This call will be recorded only if you agree."
        ),
        "recording_notice": "Hello, this is {business}. This call is recorded.",
        "greeting": "Hello, this is {business}.",
        "consent_question": (
            "May we record this call? Please say yes, or press 1. If you would rather not, say no, or press 2."
        ),
        "consent_retry": (
            "Sorry, I did not catch that. May we record this call? Say yes or press 1. Say no or press 2."
        ),
        "are_you_there": "Are you still there?",
        "goodbye": "Thank you for calling. Goodbye.",
        "model_lost_take_message": "I am sorry, I cannot help you any further right now, but you can leave a message.",
        "model_lost_transfer": "I am sorry, I cannot help you any further right now. I will put you through.",
        "model_lost_end": "I am sorry, I cannot help you any further right now. Please call again later. Goodbye.",
        "leave_message": (
            "Please say your name, your number and your message now. When you have finished, just hang up."
        ),
        "message_taken": "Thank you, your message has been taken. Goodbye.",
        "transferring": "One moment please, I am putting you through.",
        "transfer_failed": "I am sorry, nobody could be reached there.",
        "time_is_up": "I am sorry, the time for this call is up. Thank you for calling. Goodbye.",
        "drain_goodbye": "I am sorry, we have to end this call for maintenance. Please call again soon. Goodbye.",
    },
    "de": {
        "disclosure": "Guten Tag, Sie sprechen mit dem KI-Assistenten von {business}.",
        "disclosure_recorded": (
            "Guten Tag, Sie sprechen mit dem KI-Assistenten von {business}. Dieses Gespräch wird aufgezeichnet."
        ),
        "disclosure_asking": (
            "Guten Tag, Sie sprechen mit dem KI-Assistenten von {business}. "
            "Dieses Gespräch wird nur aufgezeichnet, wenn Sie zustimmen."
        ),
        "recording_notice": "Guten Tag, hier ist {business}. Dieses Gespräch wird aufgezeichnet.",
        "greeting": "Guten Tag, hier ist {business}.",
        "consent_question": (
            "Dürfen wir dieses Gespräch aufzeichnen? Sagen Sie bitte Ja oder drücken Sie die 1. "
            "Wenn Sie das nicht möchten, sagen Sie Nein oder drücken Sie die 2."
        ),
        "consent_retry": (
            "Entschuldigung, das habe ich nicht verstanden. Dürfen wir dieses Gespräch aufzeichnen? "
            "Sagen Sie Ja oder drücken Sie die 1. Sagen Sie Nein oder drücken Sie die 2."
        ),
        "are_you_there": "Sind Sie noch da?",
        "goodbye": "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
        "model_lost_take_message": (
            "Es tut mir leid, ich kann Ihnen gerade nicht weiterhelfen. Sie können aber eine Nachricht hinterlassen."
        ),
        "model_lost_transfer": "Es tut mir leid, ich kann Ihnen gerade nicht weiterhelfen. Ich verbinde Sie.",
        "model_lost_end": (
            "Es tut mir leid, ich kann Ihnen gerade nicht weiterhelfen. "
            "Bitte rufen Sie später noch einmal an. Auf Wiederhören."
        ),
        "leave_message": (
            "Bitte nennen Sie jetzt Ihren Namen, Ihre Nummer und Ihr Anliegen. "
            "Wenn Sie fertig sind, legen Sie einfach auf."
        ),
        "message_taken": "Vielen Dank, Ihre Nachricht ist aufgenommen. Auf Wiederhören.",
        "transferring": "Einen Moment bitte, ich verbinde Sie.",
        "transfer_failed": "Es tut mir leid, dort ist gerade niemand zu erreichen.",
        "time_is_up": (
            "Es tut mir leid, die Zeit für dieses Gespräch ist um. Vielen Dank für Ihren Anruf. Auf Wiederhören."
        ),
        "drain_goodbye": (
            "Es tut mir leid, wir müssen dieses Gespräch wegen einer Wartung beenden. "
            "Bitte rufen Sie gleich noch einmal an. Auf Wiederhören."
        ),
    },
    "fr": {
        "disclosure": "Bonjour, vous parlez à l'assistant d'intelligence artificielle qui répond pour {business}.",
        "disclosure_recorded": (
            "Bonjour, vous parlez à l'assistant d'intelligence artificielle qui répond pour {business}. "
            "Cet appel est enregistré."
        ),
        "disclosure_asking": (
            "Bonjour, vous parlez à l'assistant d'intelligence artificielle qui répond pour {business}. "
            "Cet appel ne sera enregistré qu'avec votre accord."
        ),
        "recording_notice": "Bonjour, vous êtes bien chez {business}. Cet appel est enregistré.",
        "greeting": "Bonjour, vous êtes bien chez {business}.",
        "consent_question": (
            "Pouvons-nous enregistrer cet appel ? Dites oui ou appuyez sur 1. "
            "Si vous ne le souhaitez pas, dites non ou appuyez sur 2."
        ),
        "consent_retry": (
            "Pardon, je n'ai pas compris. Pouvons-nous enregistrer cet appel ? "
            "Dites oui ou appuyez sur 1. Dites non ou appuyez sur 2."
        ),
        "are_you_there": "Êtes-vous toujours là ?",
        "goodbye": "Merci de votre appel. Au revoir.",
        "model_lost_take_message": (
            "Je suis désolé, je ne peux pas vous aider davantage pour le moment, mais vous pouvez laisser un message."
        ),
        "model_lost_transfer": (
            "Je suis désolé, je ne peux pas vous aider davantage pour le moment. Je vous mets en relation."
        ),
        "model_lost_end": (
            "Je suis désolé, je ne peux pas vous aider davantage pour le moment. "
            "Merci de rappeler plus tard. Au revoir."
        ),
        "leave_message": (
            "Merci d'indiquer maintenant votre nom, votre numéro et votre message. "
            "Quand vous avez terminé, raccrochez simplement."
        ),
        "message_taken": "Merci, votre message est bien enregistré. Au revoir.",
        "transferring": "Un instant s'il vous plaît, je vous mets en relation.",
        "transfer_failed": "Je suis désolé, personne n'est joignable pour le moment.",
        "time_is_up": "Je suis désolé, le temps prévu pour cet appel est écoulé. Merci de votre appel. Au revoir.",
        "drain_goodbye": (
            "Je suis désolé, nous devons mettre fin à cet appel pour une maintenance. "
            "Merci de rappeler dans un instant. Au revoir."
        ),
    },
    "es": {
        "disclosure": "Hola, está hablando con el asistente de inteligencia artificial de {business}.",
        "disclosure_recorded": (
            "Hola, está hablando con el asistente de inteligencia artificial de {business}. Esta llamada se graba."
        ),
        "disclosure_asking": (
            "Hola, está hablando con el asistente de inteligencia artificial de {business}. "
            "Esta llamada solo se grabará si usted está de acuerdo."
        ),
        "recording_notice": "Hola, ha llamado a {business}. Esta llamada se graba.",
        "greeting": "Hola, ha llamado a {business}.",
        "consent_question": (
            "¿Podemos grabar esta llamada? Si está de acuerdo, pulse 1. Si prefiere que no, diga no o pulse 2."
        ),
        "consent_retry": (
            "Disculpe, no le he entendido. ¿Podemos grabar esta llamada? Para aceptar, pulse 1. "
            "Si prefiere que no, diga no o pulse 2."
        ),
        "are_you_there": "¿Sigue usted ahí?",
        "goodbye": "Gracias por su llamada. Hasta luego.",
        "model_lost_take_message": (
            "Lo siento, en este momento no puedo seguir ayudándole, pero puede dejar un mensaje."
        ),
        "model_lost_transfer": "Lo siento, en este momento no puedo seguir ayudándole. Le paso la llamada.",
        "model_lost_end": (
            "Lo siento, en este momento no puedo seguir ayudándole. Por favor, llame más tarde. Hasta luego."
        ),
        "leave_message": "Por favor, diga ahora su nombre, su número y su mensaje. Cuando termine, cuelgue.",
        "message_taken": "Gracias, hemos recibido su mensaje. Hasta luego.",
        "transferring": "Un momento, por favor, le paso la llamada.",
        "transfer_failed": "Lo siento, ahora mismo no se puede localizar a nadie allí.",
        "time_is_up": "Lo siento, se ha acabado el tiempo de esta llamada. Gracias por llamar. Hasta luego.",
        "drain_goodbye": (
            "Lo siento, tenemos que terminar esta llamada por mantenimiento. "
            "Por favor, vuelva a llamar en un momento. Hasta luego."
        ),
    },
    "it": {
        "disclosure": "Buongiorno, sta parlando con l'assistente di intelligenza artificiale di {business}.",
        "disclosure_recorded": (
            "Buongiorno, sta parlando con l'assistente di intelligenza artificiale di {business}. "
            "Questa chiamata viene registrata."
        ),
        "disclosure_asking": (
            "Buongiorno, sta parlando con l'assistente di intelligenza artificiale di {business}. "
            "Questa chiamata sarà registrata solo con il suo consenso."
        ),
        "recording_notice": "Buongiorno, ha chiamato {business}. Questa chiamata viene registrata.",
        "greeting": "Buongiorno, ha chiamato {business}.",
        "consent_question": (
            "Possiamo registrare questa chiamata? Se è d'accordo, prema 1. Se preferisce di no, dica no o prema 2."
        ),
        "consent_retry": (
            "Mi scusi, non ho capito. Possiamo registrare questa chiamata? Per accettare prema 1. "
            "Se preferisce di no, dica no o prema 2."
        ),
        "are_you_there": "È ancora in linea?",
        "goodbye": "Grazie per la chiamata. Arrivederci.",
        "model_lost_take_message": (
            "Mi dispiace, in questo momento non posso aiutarla oltre, ma può lasciare un messaggio."
        ),
        "model_lost_transfer": "Mi dispiace, in questo momento non posso aiutarla oltre. Le passo un collega.",
        "model_lost_end": (
            "Mi dispiace, in questo momento non posso aiutarla oltre. Richiami più tardi, per favore. Arrivederci."
        ),
        "leave_message": (
            "Dica ora il suo nome, il suo numero e il suo messaggio. Quando ha finito, riagganci semplicemente."
        ),
        "message_taken": "Grazie, il suo messaggio è stato registrato. Arrivederci.",
        "transferring": "Un momento per favore, le passo la linea.",
        "transfer_failed": "Mi dispiace, al momento lì non risponde nessuno.",
        "time_is_up": "Mi dispiace, il tempo per questa chiamata è scaduto. Grazie per aver chiamato. Arrivederci.",
        "drain_goodbye": (
            "Mi dispiace, dobbiamo terminare questa chiamata per manutenzione. "
            "La preghiamo di richiamare tra un momento. Arrivederci."
        ),
    },
    "nl": {
        "disclosure": "Goedendag, u spreekt met de AI-assistent van {business}.",
        "disclosure_recorded": (
            "Goedendag, u spreekt met de AI-assistent van {business}. Dit gesprek wordt opgenomen."
        ),
        "disclosure_asking": (
            "Goedendag, u spreekt met de AI-assistent van {business}. "
            "Dit gesprek wordt alleen opgenomen als u dat goedvindt."
        ),
        "recording_notice": "Goedendag, dit is {business}. Dit gesprek wordt opgenomen.",
        "greeting": "Goedendag, dit is {business}.",
        "consent_question": (
            "Mogen we dit gesprek opnemen? Zeg ja of druk op 1. Wilt u dat liever niet, zeg dan nee of druk op 2."
        ),
        "consent_retry": (
            "Sorry, dat heb ik niet verstaan. Mogen we dit gesprek opnemen? Zeg ja of druk op 1. Zeg nee of druk op 2."
        ),
        "are_you_there": "Bent u er nog?",
        "goodbye": "Bedankt voor uw telefoontje. Tot ziens.",
        "model_lost_take_message": "Het spijt me, ik kan u nu niet verder helpen, maar u kunt een bericht achterlaten.",
        "model_lost_transfer": "Het spijt me, ik kan u nu niet verder helpen. Ik verbind u door.",
        "model_lost_end": "Het spijt me, ik kan u nu niet verder helpen. Belt u later nog eens terug. Tot ziens.",
        "leave_message": "Noem nu uw naam, uw nummer en uw bericht. Als u klaar bent, kunt u gewoon ophangen.",
        "message_taken": "Dank u wel, uw bericht is opgenomen. Tot ziens.",
        "transferring": "Een ogenblik alstublieft, ik verbind u door.",
        "transfer_failed": "Het spijt me, daar is op dit moment niemand bereikbaar.",
        "time_is_up": "Het spijt me, de tijd voor dit gesprek is om. Bedankt voor uw telefoontje. Tot ziens.",
        "drain_goodbye": (
            "Het spijt me, we moeten dit gesprek wegens onderhoud beëindigen. Belt u zo meteen nog eens. Tot ziens."
        ),
    },
    "pl": {
        "disclosure": "Dzień dobry, tu asystent sztucznej inteligencji firmy {business}.",
        "disclosure_recorded": (
            "Dzień dobry, tu asystent sztucznej inteligencji firmy {business}. Ta rozmowa jest nagrywana."
        ),
        "disclosure_asking": (
            "Dzień dobry, tu asystent sztucznej inteligencji firmy {business}. "
            "Ta rozmowa będzie nagrywana tylko za Państwa zgodą."
        ),
        "recording_notice": "Dzień dobry, tu {business}. Ta rozmowa jest nagrywana.",
        "greeting": "Dzień dobry, tu {business}.",
        "consent_question": (
            "Czy możemy nagrać tę rozmowę? Jeśli się Państwo zgadzają, proszę nacisnąć 1. "
            "W przeciwnym razie proszę powiedzieć nie lub nacisnąć 2."
        ),
        "consent_retry": (
            "Przepraszam, nie udało mi się zrozumieć. Czy możemy nagrać tę rozmowę? "
            "Aby się zgodzić, proszę nacisnąć 1. W przeciwnym razie proszę powiedzieć nie lub nacisnąć 2."
        ),
        "are_you_there": "Czy są Państwo jeszcze przy telefonie?",
        "goodbye": "Dziękujemy za telefon. Do widzenia.",
        "model_lost_take_message": (
            "Przepraszam, w tej chwili nie mogę dalej pomóc, ale mogą Państwo zostawić wiadomość."
        ),
        "model_lost_transfer": "Przepraszam, w tej chwili nie mogę dalej pomóc. Już łączę.",
        "model_lost_end": "Przepraszam, w tej chwili nie mogę dalej pomóc. Proszę zadzwonić później. Do widzenia.",
        "leave_message": (
            "Proszę teraz podać imię i nazwisko, numer telefonu i wiadomość. Po zakończeniu wystarczy się rozłączyć."
        ),
        "message_taken": "Dziękujemy, wiadomość została nagrana. Do widzenia.",
        "transferring": "Chwileczkę, już łączę.",
        "transfer_failed": "Przepraszam, w tej chwili nikt tam nie odbiera.",
        "time_is_up": "Przepraszam, czas tej rozmowy minął. Dziękujemy za telefon. Do widzenia.",
        "drain_goodbye": (
            "Przepraszam, musimy zakończyć tę rozmowę z powodu prac technicznych. "
            "Proszę zadzwonić ponownie za chwilę. Do widzenia."
        ),
    },
    "pt": {
        "disclosure": "Olá, fala o assistente de inteligência artificial da empresa {business}.",
        "disclosure_recorded": (
            "Olá, fala o assistente de inteligência artificial da empresa {business}. Esta chamada é gravada."
        ),
        "disclosure_asking": (
            "Olá, fala o assistente de inteligência artificial da empresa {business}. "
            "Esta chamada só será gravada com o seu consentimento."
        ),
        "recording_notice": "Olá, ligou para {business}. Esta chamada é gravada.",
        "greeting": "Olá, ligou para {business}.",
        "consent_question": (
            "Podemos gravar esta chamada? Se concordar, prima 1. Se preferir que não, diga não ou prima 2."
        ),
        "consent_retry": (
            "Desculpe, não percebi. Podemos gravar esta chamada? Para aceitar, prima 1. Se não, diga não ou prima 2."
        ),
        "are_you_there": "Ainda está em linha?",
        "goodbye": "Obrigado pela sua chamada. Até à próxima.",
        "model_lost_take_message": "Lamento, de momento não posso ajudar mais, mas pode deixar uma mensagem.",
        "model_lost_transfer": "Lamento, de momento não posso ajudar mais. Vou passar a chamada.",
        "model_lost_end": "Lamento, de momento não posso ajudar mais. Por favor, ligue mais tarde. Até à próxima.",
        "leave_message": (
            "Por favor, diga agora o seu nome, o seu número e a sua mensagem. Quando terminar, basta desligar."
        ),
        "message_taken": "Obrigado, a sua mensagem ficou registada. Até à próxima.",
        "transferring": "Um momento, por favor, vou passar a chamada.",
        "transfer_failed": "Lamento, de momento não está ninguém disponível.",
        "time_is_up": "Lamento, o tempo desta chamada terminou. Obrigado por ligar. Até à próxima.",
        "drain_goodbye": (
            "Lamento, temos de terminar esta chamada para manutenção. "
            "Por favor, volte a ligar dentro de momentos. Até à próxima."
        ),
    },
}
