"""One stream of log lines for all of us: structlog, with the standard library's and loguru's lines joined in.

JSON when standard error is not a terminal. Every line carries the process, and inside a call its id and tenant, through
context variables. A line says what happened by a constant name; a processor behind all loggers hides what could be
personal, also in values and exceptions of libraries that do not know this rule.
"""

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Final

import loguru
import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[hidden]"

PERSONAL_KEYS: Final = frozenset(
    {
        "address", "answer", "arguments", "audio", "body", "called", "caller", "content", "display_name", "email",
        "from", "heard", "instructions", "mail", "message", "name", "number", "opening", "payload", "phone", "prompt",
        "query", "question", "result", "said", "text", "to", "token", "transcript", "user", "utterance", "wording",
    }
)  # fmt: skip  # a list of names, not a column of them
"""Keys whose values are about a person, or may be. They are hidden whatever the value is."""

_SIP_USER = re.compile(r"(sips?:|tel:)[^\s@>;]+", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63})+")
_DIGITS = re.compile(r"(?<![\w.:-])(?!\d{4}-\d\d-\d\d\b)\+?\d[\d ()/-]{4,}\d(?![\w.:-])")
_QUOTED = re.compile(r"""("[^"]*"|'[^']*'|\{.*\}|\[.*\])""", re.DOTALL)
_LONGEST_FOREIGN = 160
_LOOKED_AT = 2_000
"""Characters of a text that are looked at, and so at most logged: a search must not cost more than a line is worth."""


def scrub(text: str) -> str:
    """The text without what looks like a telephone number, a SIP user or a mail address."""
    if len(text) > _LOOKED_AT:
        text = text[:_LOOKED_AT] + "…"
    text = _SIP_USER.sub(lambda found: found.group(1) + HIDDEN, text)
    return _DIGITS.sub(HIDDEN, _MAIL.sub(HIDDEN, text))


def scrub_foreign(text: str) -> str:
    """A library's sentence, shortened, and without what it quotes: that is where a caller's words would be."""
    return scrub(_QUOTED.sub(HIDDEN, text[:_LOOKED_AT]))[:_LONGEST_FOREIGN]


def hide_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: hide personal keys, and what looks personal in the values of all others."""
    for key, value in event.items():
        if key in PERSONAL_KEYS or key.startswith("pii"):
            event[key] = HIDDEN
        elif isinstance(value, str) and key != "timestamp":
            event[key] = scrub(value)
        elif isinstance(value, list | tuple):
            event[key] = [scrub(item) if isinstance(item, str) else item for item in value]
        elif isinstance(value, dict):
            event[key] = HIDDEN
    return event


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: an exception becomes its type, a scrubbed message, and the places it passed; never local values."""
    wanted = event.pop("exc_info", None)
    error: BaseException | None
    if isinstance(wanted, BaseException):
        error = wanted
    elif isinstance(wanted, tuple):
        error = wanted[1]
    else:
        error = sys.exc_info()[1] if wanted else None
    if error is not None:
        event["error_type"] = type(error).__qualname__
        # A mistake in the program names parts of the program, which are needed to find it; all others may quote data.
        quotes_code = isinstance(error, TypeError | AttributeError | NameError | ImportError | NotImplementedError)
        event["error"] = scrub(str(error)) if quotes_code else scrub_foreign(str(error))
        event["at"] = _places(error.__traceback__)
        cause = error.__cause__ or error.__context__
        if cause is not None:
            event["cause"] = f"{type(cause).__qualname__}: {scrub_foreign(str(cause))}"
    return event


def _places(start: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(start)[-8:]
    return [f"{'/'.join(frame.filename.rsplit('/', 2)[-2:])}:{frame.lineno} {frame.name}" for frame in frames]


def _foreign(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor for lines of libraries: their sentence is a value, our event name is constant."""
    event["said_by_library"] = scrub_foreign(str(event["event"]))
    event["event"] = "library"
    return event


class _Lines:
    """Where lines go: standard error as it is at that moment, so that a forked child needs no new set-up."""

    def msg(self, line: str | bytes) -> None:
        """Write one line at once."""
        text = line.decode() if isinstance(line, bytes) else line
        with contextlib.suppress(OSError):  # a log on a full disk must not end what it tells of
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    log = debug = info = warning = warn = error = critical = exception = fatal = failure = err = msg


class _Bridge(logging.Handler):
    """The standard library's lines, through the same processors."""

    def __init__(self, render: Callable[[EventDict], None]) -> None:
        super().__init__()
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        event: EventDict = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "exc_info": record.exc_info,
        }
        self._render(event)


def set_up(*, as_json: bool | None = None) -> None:
    """Make all loggers of this process, and of those forked from it, speak as one.

    Args:
        as_json: One JSON object a line, or coloured text; None decides by whether standard error is a terminal.
    """
    if as_json is None:
        as_json = not sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        hide_personal,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str).decode())
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    lines = _Lines()
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )

    def render(event: EventDict) -> None:
        for processor in (_foreign, *(step for step in shared if step is not structlog.processors.add_log_level), last):
            event = processor(lines, "", event)  # type: ignore[assignment]  # only the last returns text
        lines.msg(str(event))

    logging.basicConfig(handlers=[_Bridge(render)], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)

    def from_loguru(message: "loguru.Message") -> None:
        record = message.record
        error = record["exception"]
        render(
            {
                "event": record["message"],
                "level": record["level"].name.lower(),
                "logger": f"{record['name']}:{record['line']}",
                "exc_info": error.value if error is not None else None,
            }
        )

    loguru.logger.remove()
    loguru.logger.add(from_loguru, level="WARNING", format="{message}")


def lines_are_json() -> bool:
    """Whether a log collector is to read what is written, and not somebody at a terminal."""
    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def name_process(name: str) -> None:
    """Put the name of this part of the server on every line it will write."""
    structlog.contextvars.bind_contextvars(part=name)
