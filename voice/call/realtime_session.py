"""The session of one call as OpenAI's Realtime protocol wants it described (`session.update`)."""

from voice.waist.plan import CallPlan, TurnDetection

_MULAW = {"type": "audio/pcmu"}

JsonObject = dict[str, object]


def function_tool(name: str, description: str, parameters: JsonObject) -> JsonObject:
    """A tool as the model sees it; `parameters` is JSON Schema."""
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


def realtime_session(plan: CallPlan, tools: list[JsonObject]) -> JsonObject:
    """G.711 mu-law both ways, turns found by the server, and what the plan lets the model know."""
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": plan.instructions,
        "audio": {
            "input": {
                "format": _MULAW,
                "transcription": {
                    "model": plan.model.transcription_model,
                    "language": plan.language.partition("-")[0].lower(),
                },
                "turn_detection": _turn_detection(plan.model.turn_detection),
            },
            "output": {"format": _MULAW, "voice": plan.model.voice, "speed": plan.model.speed},
        },
        "tools": tools,
        "tool_choice": "auto",
    }


def _turn_detection(terms: TurnDetection) -> JsonObject:
    """The server answers each turn by itself, and stops its answer when the caller speaks."""
    common: JsonObject = {"create_response": True, "interrupt_response": True}
    if terms.kind == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": terms.eagerness, **common}
    return {
        "type": "server_vad",
        "threshold": terms.threshold,
        "prefix_padding_ms": terms.prefix_padding_ms,
        "silence_duration_ms": terms.silence_ms,
        **common,
    }
