"""What the desk is told at its start. Only `scripts/settings.py` reads the environment."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """A server that speaks OpenAI's API: the realtime model, and the voice that clips are spoken with."""

    base_url: str
    """Such as https://api.openai.com/v1, without a slash at the end."""
    api_key: str = field(repr=False)
    realtime_model: str
    speech_model: str = "gpt-4o-mini-tts"
    speech_voice: str = "marin"
    """Used for clips where the scenario names no voice; "espeak:" means that the language is put behind it."""

    @property
    def realtime_url(self) -> str:
        """The WebSocket address, without query."""
        return "ws" + self.base_url.removeprefix("http") + "/realtime"


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """Where the desk's things lie and whom it asks."""

    home: Path
    """The data folder; the desk owns `clips/` in it and empties `spool/`."""
    run: Path
    """Holds the sockets; workers must be able to enter it."""
    model: ModelEndpoint
    """The realtime model of all scenarios that name no other."""
    local_speech: ModelEndpoint
    """The speech server on this machine: clips are spoken by it while `model` cannot be reached."""
    worker_group: int | None = None
    """Group id that workers run as, when the desk runs as root; None when they run as the same user."""

    @property
    def spool(self) -> Path:
        """Journals and recordings, until they are ingested."""
        return self.home / "spool"

    @property
    def clips(self) -> Path:
        """Rendered sentences."""
        return self.home / "clips"

    @property
    def workers_socket(self) -> Path:
        """Where workers connect."""
        return self.run / "desk.sock"

    @property
    def operators_socket(self) -> Path:
        """Where the command line and admin connect; only the desk's own user may."""
        return self.run / "desk-operators.sock"
