"""What the demo says, in each of the product's languages. It never pretends to be more than a demo."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The sentences of one language. `{}` takes the one thing that a sentence is about."""

    hello: str
    """Takes the business's name and a space before it, or nothing."""
    honest: str
    press_hours: str
    press_book: str
    press_message: str
    press_person: str
    press_end: str
    no_hours: str
    ask_day: str
    confirm_day: str
    confirm_person: str
    ask_message: str
    message_kept: str
    booked: str
    connecting: str
    failed: str
    cannot: str
    not_understood: str
    anything_else: str
    goodbye: str
    day_names: tuple[str, ...]
    """Monday to Friday, as keys 1 to 5 choose them."""


ENGLISH_ONLY = {
    "who": "I am Aitelier's demo voice: a machine that knows a few sentences, not a person and not a real model.",
    "where": "I have no address for you.",
    "price": "I have no prices for you.",
    "help": "You can ask for our opening hours, book an appointment, leave a message, or ask for a person.",
    "thanks": "You are welcome.",
    "hello": "Hello.",
}
"""Answers to questions that only the English grammar knows."""

WORDS = {
    "en": Words(
        hello="Hello{}.",
        honest="This is Aitelier's demo voice: I understand a few sentences, and keys.",
        press_hours="For our opening hours, press 1.",
        press_book="To book a day, press 2.",
        press_message="To leave a message, press 3.",
        press_person="For a person, press 0.",
        press_end="To end the call, press hash.",
        no_hours="I was not told the opening hours.",
        ask_day="Which day would you like? Say a day of the week, or press 1 for Monday to 5 for Friday.",
        confirm_day="You would like {}. Is that right? Say yes, or press 1. If not, press 2.",
        confirm_person="Shall I connect you with {}? Say yes, or press 1. If not, press 2.",
        ask_message="Please say your message now.",
        message_kept="Thank you, your message is kept.",
        booked="Thank you, {} is noted.",
        connecting="One moment, I am connecting you.",
        failed="I am sorry, that did not work.",
        cannot="I am sorry, I cannot do that here.",
        not_understood="Sorry, I did not understand that.",
        anything_else="Is there anything else?",
        goodbye="Thank you for calling. Goodbye.",
        day_names=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    ),
    "de": Words(
        hello="Guten Tag{}.",
        honest="Hier spricht die Demo-Stimme von Aitelier. Auf Deutsch verstehe ich nur Tasten, ja und nein.",
        press_hours="Für die Öffnungszeiten drücken Sie die 1.",
        press_book="Für einen Termin die 2.",
        press_message="Für eine Nachricht die 3.",
        press_person="Für einen Menschen die 0.",
        press_end="Zum Beenden die Raute.",
        no_hours="Die Öffnungszeiten wurden mir nicht gesagt.",
        ask_day="Welcher Tag? Drücken Sie 1 für Montag bis 5 für Freitag.",
        confirm_day="Sie möchten {}. Ist das richtig? Drücken Sie 1 für ja, 2 für nein.",
        confirm_person="Soll ich Sie mit {} verbinden? Drücken Sie 1 für ja, 2 für nein.",
        ask_message="Bitte sprechen Sie jetzt Ihre Nachricht.",
        message_kept="Danke, Ihre Nachricht ist gespeichert.",
        booked="Danke, {} ist notiert.",
        connecting="Einen Moment, ich verbinde Sie.",
        failed="Das hat leider nicht geklappt.",
        cannot="Das kann ich hier leider nicht.",
        not_understood="Das habe ich leider nicht verstanden.",
        anything_else="Kann ich noch etwas für Sie tun?",
        goodbye="Danke für Ihren Anruf. Auf Wiederhören.",
        day_names=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
    ),
    "fr": Words(
        hello="Bonjour{}.",
        honest="Ici la voix de démonstration d'Aitelier. En français, je ne comprends que les touches, oui et non.",
        press_hours="Pour nos horaires, tapez 1.",
        press_book="Pour un rendez-vous, tapez 2.",
        press_message="Pour laisser un message, tapez 3.",
        press_person="Pour parler à quelqu'un, tapez 0.",
        press_end="Pour terminer, tapez dièse.",
        no_hours="On ne m'a pas donné les horaires.",
        ask_day="Quel jour? Tapez 1 pour lundi, jusqu'à 5 pour vendredi.",
        confirm_day="Vous souhaitez {}. C'est bien cela? Tapez 1 pour oui, 2 pour non.",
        confirm_person="Dois-je vous mettre en relation avec {}? Tapez 1 pour oui, 2 pour non.",
        ask_message="Dites votre message maintenant.",
        message_kept="Merci, votre message est enregistré.",
        booked="Merci, {} est noté.",
        connecting="Un instant, je vous mets en relation.",
        failed="Je regrette, cela n'a pas fonctionné.",
        cannot="Je regrette, je ne peux pas faire cela ici.",
        not_understood="Je n'ai pas compris.",
        anything_else="Puis-je faire autre chose pour vous?",
        goodbye="Merci de votre appel. Au revoir.",
        day_names=("lundi", "mardi", "mercredi", "jeudi", "vendredi"),
    ),
    "es": Words(
        hello="Buenos días{}.",
        honest="Le habla la voz de demostración de Aitelier. En español solo entiendo las teclas, sí y no.",
        press_hours="Para el horario, pulse 1.",
        press_book="Para una cita, pulse 2.",
        press_message="Para dejar un mensaje, pulse 3.",
        press_person="Para hablar con una persona, pulse 0.",
        press_end="Para terminar, pulse almohadilla.",
        no_hours="No me han dicho el horario.",
        ask_day="¿Qué día? Pulse 1 para lunes, hasta 5 para viernes.",
        confirm_day="Usted desea {}. ¿Es correcto? Pulse 1 para sí, 2 para no.",
        confirm_person="¿Le paso con {}? Pulse 1 para sí, 2 para no.",
        ask_message="Diga su mensaje ahora.",
        message_kept="Gracias, su mensaje está guardado.",
        booked="Gracias, {} queda anotado.",
        connecting="Un momento, le paso.",
        failed="Lo siento, no ha funcionado.",
        cannot="Lo siento, eso no puedo hacerlo aquí.",
        not_understood="No le he entendido.",
        anything_else="¿Desea algo más?",
        goodbye="Gracias por su llamada. Adiós.",
        day_names=("lunes", "martes", "miércoles", "jueves", "viernes"),
    ),
    "it": Words(
        hello="Buongiorno{}.",
        honest="Questa è la voce dimostrativa di Aitelier. In italiano capisco solo i tasti, sì e no.",
        press_hours="Per gli orari, premere 1.",
        press_book="Per un appuntamento, premere 2.",
        press_message="Per lasciare un messaggio, premere 3.",
        press_person="Per parlare con una persona, premere 0.",
        press_end="Per terminare, premere cancelletto.",
        no_hours="Non mi hanno detto gli orari.",
        ask_day="Quale giorno? Premere 1 per lunedì, fino a 5 per venerdì.",
        confirm_day="Desidera {}. È giusto? Premere 1 per sì, 2 per no.",
        confirm_person="La metto in contatto con {}? Premere 1 per sì, 2 per no.",
        ask_message="Dica il suo messaggio adesso.",
        message_kept="Grazie, il suo messaggio è registrato.",
        booked="Grazie, {} è annotato.",
        connecting="Un momento, la metto in contatto.",
        failed="Mi dispiace, non ha funzionato.",
        cannot="Mi dispiace, qui non posso farlo.",
        not_understood="Non ho capito.",
        anything_else="Posso fare altro per lei?",
        goodbye="Grazie per la chiamata. Arrivederci.",
        day_names=("lunedì", "martedì", "mercoledì", "giovedì", "venerdì"),
    ),
    "nl": Words(
        hello="Goedendag{}.",
        honest="U spreekt met de demostem van Aitelier. In het Nederlands begrijp ik alleen toetsen, ja en nee.",
        press_hours="Voor de openingstijden, toets 1.",
        press_book="Voor een afspraak, toets 2.",
        press_message="Voor een bericht, toets 3.",
        press_person="Voor een medewerker, toets 0.",
        press_end="Om te stoppen, toets hekje.",
        no_hours="De openingstijden zijn mij niet verteld.",
        ask_day="Welke dag? Toets 1 voor maandag, tot 5 voor vrijdag.",
        confirm_day="U wilt {}. Klopt dat? Toets 1 voor ja, 2 voor nee.",
        confirm_person="Zal ik u doorverbinden met {}? Toets 1 voor ja, 2 voor nee.",
        ask_message="Spreek nu uw bericht in.",
        message_kept="Dank u, uw bericht is bewaard.",
        booked="Dank u, {} is genoteerd.",
        connecting="Een moment, ik verbind u door.",
        failed="Het spijt me, dat is niet gelukt.",
        cannot="Het spijt me, dat kan ik hier niet.",
        not_understood="Dat heb ik niet begrepen.",
        anything_else="Kan ik nog iets voor u doen?",
        goodbye="Bedankt voor het bellen. Tot ziens.",
        day_names=("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag"),
    ),
    "pl": Words(
        hello="Dzień dobry{}.",
        honest="Tu głos demonstracyjny Aitelier. Po polsku rozumiem tylko klawisze, tak i nie.",
        press_hours="Godziny otwarcia: klawisz 1.",
        press_book="Umówienie wizyty: klawisz 2.",
        press_message="Wiadomość: klawisz 3.",
        press_person="Rozmowa z człowiekiem: klawisz 0.",
        press_end="Koniec rozmowy: krzyżyk.",
        no_hours="Nie podano mi godzin otwarcia.",
        ask_day="Który dzień? Klawisz 1 to poniedziałek, 5 to piątek.",
        confirm_day="Wybrany dzień: {}. Czy to się zgadza? Tak to klawisz 1, nie to klawisz 2.",
        confirm_person="Czy połączyć z {}? Tak to klawisz 1, nie to klawisz 2.",
        ask_message="Proszę teraz zostawić wiadomość.",
        message_kept="Dziękuję, wiadomość jest zapisana.",
        booked="Dziękuję, zapisano: {}.",
        connecting="Chwileczkę, łączę.",
        failed="Przykro mi, nie udało się.",
        cannot="Przykro mi, tutaj tego nie mogę.",
        not_understood="Nie zrozumiałam.",
        anything_else="Czy coś jeszcze?",
        goodbye="Dziękuję za telefon. Do widzenia.",
        day_names=("poniedziałek", "wtorek", "środa", "czwartek", "piątek"),
    ),
    "pt": Words(
        hello="Bom dia{}.",
        honest="Fala a voz de demonstração do Aitelier. Em português só entendo teclas, sim e não.",
        press_hours="Para o horário, prima 1.",
        press_book="Para uma marcação, prima 2.",
        press_message="Para deixar uma mensagem, prima 3.",
        press_person="Para falar com uma pessoa, prima 0.",
        press_end="Para terminar, prima cardinal.",
        no_hours="Não me disseram o horário.",
        ask_day="Que dia? Prima 1 para segunda, até 5 para sexta.",
        confirm_day="Deseja {}. Está certo? Prima 1 para sim, 2 para não.",
        confirm_person="Devo ligar a {}? Prima 1 para sim, 2 para não.",
        ask_message="Diga agora a sua mensagem.",
        message_kept="Obrigada, a sua mensagem foi guardada.",
        booked="Obrigada, {} ficou anotado.",
        connecting="Um momento, vou ligar.",
        failed="Lamento, não funcionou.",
        cannot="Lamento, isso não posso fazer aqui.",
        not_understood="Não percebi.",
        anything_else="Deseja mais alguma coisa?",
        goodbye="Obrigada por ligar. Adeus.",
        day_names=("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
    ),
}
