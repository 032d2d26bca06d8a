"""The demo mind, by voice and by keys."""

import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests.voice.rehearsal.realtime_client import G711, Client, Connect, silence, telephone
from voice.rehearsal.audio import FORMATS
from voice.rehearsal.demo_words import WORDS
from voice.rehearsal.facts import Facts, keys_in, sentence_to_say
from voice.rehearsal.mouth import Mouth
from voice.rehearsal.offers import find
from voice.rehearsal.server import RehearsalServer

PRACTICE = (
    "You are the receptionist of Harbour Dental, a small dental practice. "
    "We are open from Monday to Friday, 8 to 17 o'clock, and closed at weekends. "
    "Answer questions about opening hours and take a message for anything else."
)


def tool(name: str, **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "name": name, "description": "", "parameters": schema}


TOOLS = [
    tool("hang_up"),
    tool("take_message", text={"type": "string"}),
    tool("transfer", target={"type": "string", "enum": ["front_desk", "lab"]}),
]


@pytest.fixture
async def server() -> AsyncIterator[RehearsalServer]:
    async with RehearsalServer() as running:
        yield running


@pytest.fixture
async def caller_voice() -> AsyncIterator[Mouth]:
    mouth = Mouth()
    yield mouth
    await mouth.close()


async def begin(client: Client, language: str = "en", tools: list[dict[str, Any]] = TOOLS) -> None:
    audio = {
        "input": {**G711["input"], "transcription": {"model": "whisper-1", "language": language}},
        "output": G711["output"],
    }
    await client.update(instructions=PRACTICE, tools=tools, audio=audio, output_modalities=["text"])


async def answer(client: Client) -> str:
    """What the agent said and did, tools answered with success until it says no more."""
    parts = []
    while True:
        calls = []
        for item in (await client.response())["output"]:
            if item["type"] == "message":
                parts.append(item["content"][0]["text"])
            else:
                parts.append(f"<{item['name']} {item['arguments']}>")
                calls.append(item["call_id"])
        for call_id in calls:
            output = {"type": "function_call_output", "call_id": call_id, "output": '{"ok": true}'}
            await client.send("conversation.item.create", item=output)
        if not calls:
            return " ".join(parts)
        await client.send("response.create")


async def asked(client: Client, text: str = "", role: str = "user") -> str:
    if text:
        await client.tell(text, role)
    await client.send("response.create")
    return await answer(client)


async def test_a_dialogue_by_voice(connect: Connect, server: RehearsalServer, caller_voice: Mouth) -> None:
    """Greeting, opening hours, a booked day, and goodbye, all spoken over G.711."""
    ulaw = FORMATS["audio/pcmu"]
    async with connect(server) as client:
        await begin(client)
        greeting = await asked(client, "Greet the caller and ask how you can help.", role="system")
        assert greeting.startswith("Hello, this is Harbour Dental. This is Aitelier's demo voice")

        async def say(text: str) -> str:
            spoken = ulaw.to_s16(await caller_voice.speak(text, ulaw, language="en"))
            await client.append(silence(400) + telephone(spoken) + silence(700), step=800)
            return await answer(client)

        assert "8 to 17 o'clock" in await say("what are your opening hours")
        assert "Which day" in await say("i would like to make an appointment")
        assert "You would like Friday" in await say("on friday please")
        booked = await say("yes please")
        assert re.search(r'<take_message \{"text":"The caller would like an appointment: Friday, \d{4}-', booked)
        assert booked.endswith("Thank you, Friday is noted. Is there anything else?")
        assert (await say("goodbye")).endswith("Goodbye. <hang_up {}>")
        heard = [
            event["transcript"]
            for event in client.seen
            if event["type"].endswith("input_audio_transcription.completed")
        ]
        assert heard[0] == "what are your opening hours"


async def test_a_dialogue_by_keys(connect: Connect, server: RehearsalServer) -> None:
    """Everything can be had by keys, told as text; acts are confirmed first."""
    async with connect(server) as client:
        await begin(client)
        assert "press 1" in await asked(client)
        assert "8 to 17" in await asked(client, "Caller pressed 1")
        assert "Which day" in await asked(client, "[The caller pressed the keys 2 on the telephone.]")
        assert "Wednesday" in await asked(client, "Caller pressed 3")
        assert "For our opening hours" in await asked(client, "Caller pressed 2")
        assert "Shall I connect you with front desk?" in await asked(client, "Caller pressed 0")
        assert '<transfer {"target":"front_desk"}>' in await asked(client, "Caller pressed 1")
        assert "Please say your message" in await asked(client, "Caller pressed 3")
        kept = await asked(client, "Please call me about my tooth.")
        assert '<take_message {"text":"Please call me about my tooth."}>' in kept
        assert "Goodbye. <hang_up {}>" in await asked(client, "Caller pressed #")


async def test_a_failed_tool_is_told(connect: Connect, server: RehearsalServer) -> None:
    """When a transfer does not work, the caller hears so."""
    async with connect(server) as client:
        await begin(client)
        await asked(client, "I want to speak to a human.")
        await client.tell("yes")
        await client.send("response.create")
        call = (await client.response())["output"][-1]
        failed = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": '{"ok": false, "error": "busy"}',
        }
        await client.send("conversation.item.create", item=failed)
        await client.send("response.create")
        assert (await answer(client)).startswith("I am sorry, that did not work.")


async def test_only_what_is_offered(connect: Connect, server: RehearsalServer) -> None:
    """Without tools the demo offers no acts and refuses them politely."""
    async with connect(server) as client:
        await begin(client, tools=[])
        assert (await asked(client)).endswith("For our opening hours, press 1.")
        assert "I cannot do that here" in await asked(client, "Caller pressed 0")
        assert "I cannot do that here" in await asked(client, "I want to leave a message.")
        assert await asked(client, "goodbye") == "Thank you for calling. Goodbye."


async def test_the_very_words_that_are_ordered(connect: Connect, server: RehearsalServer) -> None:
    """A quoted sentence in an order is said as it stands."""
    async with connect(server) as client:
        await begin(client)
        assert await asked(client, 'Greet the caller with "Ahoy there."', role="system") == "Ahoy there."
        await client.send("response.create", response={"instructions": 'Say "Are you still there?"'})
        assert await answer(client) == "Are you still there?"


async def test_a_conversation_brought_along(connect: Connect, server: RehearsalServer) -> None:
    """After a reconnect with history the demo does not greet again."""
    async with connect(server) as client:
        await begin(client)
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
        await client.send("conversation.item.create", item=said)
        assert "8 to 17" in await asked(client, "When are you open?")


@pytest.mark.parametrize("language", sorted(set(WORDS) - {"en"}))
async def test_other_languages_by_keys(connect: Connect, server: RehearsalServer, language: str) -> None:
    """Each language greets honestly in its own words and understands keys."""
    words = WORDS[language]
    async with connect(server) as client:
        await begin(client, language)
        assert words.honest in await asked(client)
        assert await asked(client, "Caller pressed 2") == words.ask_day
        assert words.day_names[0] in await asked(client, "Caller pressed 1")
        assert words.booked.format(words.day_names[0]) in await asked(client, "Caller pressed 1")


def test_facts_of_a_scenario() -> None:
    """Name, hours, address and prices are found in ordinary scenario texts, and not where there are none."""
    assert Facts.read(PRACTICE) == Facts(
        "Harbour Dental", "We are open from Monday to Friday, 8 to 17 o'clock, and closed at weekends.", None, None
    )
    shop = Facts.read("Business name: Moe's Tavern\nAddress: 57 Walnut Street\nHours: daily 12-24\nPrice: 5 dollars")
    assert (shop.business, shop.hours) == ("Moe's Tavern", "Hours: daily 12-24")
    assert (shop.where, shop.price) == ("Address: 57 Walnut Street", "Price: 5 dollars")
    assert Facts.read("You answer the phone for Bell & Sons. Be kind.").business == "Bell & Sons"
    assert Facts.read("Be helpful and brief.") == Facts(None, None, None, None)


def test_keys_and_quotes_in_texts() -> None:
    """Keys are found however they are told; a quoted sentence is what is to be said."""
    assert [keys_in(text) for text in ("Caller pressed 1", "The caller pressed the keys 1 2# on it.", "I have 2.")] == [
        "1",
        "12#",
        None,
    ]
    assert sentence_to_say("Say \u201eGuten Tag.\u201c bitte") == "Guten Tag."
    assert sentence_to_say("Greet the caller.") is None


def test_arguments_follow_the_tools_own_schema() -> None:
    """Required arguments are filled in by name and type, choices by what is wanted."""
    book = tool("book_visit", date={"type": "string"}, guests={"type": "integer"}, kind={"enum": ["a", "b"]})
    book["parameters"]["properties"]["notes"] = {"type": "string"}
    offer = find([tool("other"), book], "book")
    assert offer is not None
    known = {"day": "2026-01-02", "text": "wish"}
    assert offer.arguments(known) == {"date": "2026-01-02", "guests": 1, "kind": "a", "notes": "wish"}
    assert orjson.dumps(offer.arguments({}))
    assert find([tool("other")], "transfer") is None
