"""What the intake desk says when it rings a number to find out whether its owner asked about data.

The code is only spoken after a key was pressed, so that no answering machine and nobody who picks up without knowing of
the request gets it. Digits are spoken one by one, with pauses; `{digits}` stands for them.
"""

from dataclasses import dataclass

from policies.languages import nearest_language


@dataclass(frozen=True, slots=True)
class CodeWords:
    """The three sentences of one language."""

    offer: str
    """Who rings, why, and that 1 gives the code and 9 stops the request."""
    code: str
    """With the digits in it."""
    stopped: str


def code_words(language: str) -> CodeWords:
    """In the nearest of our languages."""
    return _WORDS[nearest_language(language)]


def code_sentence(language: str, code: str) -> str:
    """The code as it is read out."""
    return code_words(language).code.format(digits=", ".join(code))


_WORDS = {
    "en": CodeWords(
        "Hello, this is an automated call about data protection. Somebody asked what is stored about this number. "
        "If that was you, press 1 to hear your code. If it was not you, press 9, or just hang up.",
        "Your code is: {digits}. Once more: {digits}. Give it only to the privacy desk that you wrote to. Goodbye.",
        "Thank you. The request has been stopped. Goodbye.",
    ),
    "de": CodeWords(
        "Guten Tag, dies ist ein automatischer Anruf zum Datenschutz. Jemand hat gefragt, was zu dieser Nummer "
        "gespeichert ist. Waren Sie das, drücken Sie die 1, um Ihren Code zu hören. Wenn nicht, drücken Sie die 9 "
        "oder legen Sie auf.",
        "Ihr Code lautet: {digits}. Noch einmal: {digits}. Nennen Sie ihn nur der Datenschutzstelle, an die Sie "
        "geschrieben haben. Auf Wiederhören.",
        "Danke. Die Anfrage wurde gestoppt. Auf Wiederhören.",
    ),
    "fr": CodeWords(
        "Bonjour, ceci est un appel automatique concernant la protection des données. Quelqu'un a demandé ce qui est "
        "enregistré sur ce numéro. Si c'était vous, appuyez sur 1 pour entendre votre code. Sinon, appuyez sur 9 ou "
        "raccrochez.",
        "Votre code est : {digits}. Je répète : {digits}. Ne le donnez qu'au service auquel vous avez écrit. "
        "Au revoir.",
        "Merci. La demande a été arrêtée. Au revoir.",
    ),
    "es": CodeWords(
        "Hola, esta es una llamada automática sobre protección de datos. Alguien ha preguntado qué se guarda sobre "
        "este número. Si ha sido usted, pulse 1 para oír su código. Si no, pulse 9 o cuelgue.",
        "Su código es: {digits}. Otra vez: {digits}. Déselo solo al servicio al que ha escrito. Adiós.",
        "Gracias. La solicitud se ha detenido. Adiós.",
    ),
    "it": CodeWords(
        "Buongiorno, questa è una chiamata automatica sulla protezione dei dati. Qualcuno ha chiesto che cosa è "
        "conservato su questo numero. Se è stato lei, prema 1 per ascoltare il codice. Altrimenti prema 9 o riagganci.",
        "Il suo codice è: {digits}. Ancora una volta: {digits}. Lo dia solo all'ufficio a cui ha scritto. Arrivederci.",
        "Grazie. La richiesta è stata fermata. Arrivederci.",
    ),
    "nl": CodeWords(
        "Goedendag, dit is een automatische oproep over gegevensbescherming. Iemand heeft gevraagd wat er over dit "
        "nummer is opgeslagen. Was u dat, druk dan op 1 om uw code te horen. Zo niet, druk op 9 of hang op.",
        "Uw code is: {digits}. Nog een keer: {digits}. Geef hem alleen aan de dienst waaraan u hebt geschreven. "
        "Tot ziens.",
        "Dank u. Het verzoek is gestopt. Tot ziens.",
    ),
    "pl": CodeWords(
        "Dzień dobry, to automatyczne połączenie w sprawie ochrony danych. Ktoś zapytał, co przechowujemy o tym "
        "numerze. Jeśli to Państwo, proszę nacisnąć 1, aby usłyszeć kod. Jeśli nie, proszę nacisnąć 9 lub się "
        "rozłączyć.",
        "Kod to: {digits}. Jeszcze raz: {digits}. Proszę podać go tylko biuru, do którego Państwo napisali. "
        "Do widzenia.",
        "Dziękujemy. Żądanie zostało zatrzymane. Do widzenia.",
    ),
    "pt": CodeWords(
        "Olá, esta é uma chamada automática sobre proteção de dados. Alguém perguntou o que está guardado sobre este "
        "número. Se foi você, prima 1 para ouvir o seu código. Se não, prima 9 ou desligue.",
        "O seu código é: {digits}. Mais uma vez: {digits}. Dê-o apenas ao serviço para o qual escreveu. Adeus.",
        "Obrigado. O pedido foi interrompido. Adeus.",
    ),
}
