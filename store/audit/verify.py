"""Verifying an exported audit log, offline: needs the file and the public key, and nothing of the server.

See `store.audit` for the format.
"""

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from cryptography.x509 import Certificate

from policies.audit_tags import Tag
from policies.canonical_json import canonical, is_canonical
from policies.merkle import Edge, inclusion_holds, leaf_hash
from policies.retention import AUDIT_YEARS, years_after
from store.audit.notes import ED25519, ML_DSA_44, Checkpoint, Note, NoteError, VerifierKey, decoded
from store.audit.stamps import StampError, stamped_at

FORMAT = "aitelier-audit/1"
_MISREAD = (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError)
"""What taking a line apart can raise that is not of the format."""


@dataclass(slots=True)
class Report:
    """What was found. `proven` only where nothing was."""

    origin: str = ""
    entries: int = 0
    pruned: int = 0
    """Entries of which only the hash is left, because they are older than logs are kept."""
    checkpoints: int = 0
    signed_by: set[str] = field(default_factory=set)
    """Which kinds of key have signed the last checkpoint."""
    openings: int = 0
    """Personal details that were shown to be what the log committed to."""
    erased: int = 0
    """Commitments whose opening was not given: to people who were erased."""
    in_server_log: bool = False
    stamped: int = 0
    """So many of the first entries were there at `stamped_at`, as a time-stamping authority says."""
    stamped_at: str | None = None
    first_at: str | None = None
    last_at: str | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        """Whether the log is whole, unaltered and signed."""
        return not self.problems


def verify(
    lines: Iterable[str],
    keys: Sequence[VerifierKey],
    *,
    older: Sequence[str] = (),
    server_keys: Sequence[VerifierKey] = (),
    stamp_roots: Sequence[Certificate] = (),
) -> Report:
    """Check every line of an export.

    Args:
        lines: The export.
        keys: The public keys of this log that the verifier trusts, got another way than this file. Of each kind that
            is given, one must have signed: whoever can forge the one cannot leave out the other.
        older: Signed notes of this log that the verifier kept: the export must continue each of them.
        server_keys: The public keys of the server's own log, to check that it knows this one.
        stamp_roots: Certificates of the time-stamping authority's root (RFC 3161), to check since when it did.
    """
    checking = _Checking(keys, server_keys, older, stamp_roots)
    for number, line in enumerate(lines, start=1):
        try:
            checking.take(_parsed(line))
        except _MISREAD as error:
            checking.report.problems.append(f"line {number} is not of this format ({type(error).__name__})")
            break
    checking.end()
    return checking.report


class _Checking:
    """One pass over an export."""

    def __init__(
        self,
        keys: Sequence[VerifierKey],
        server_keys: Sequence[VerifierKey],
        older: Sequence[str],
        stamp_roots: Sequence[Certificate],
    ) -> None:
        self.report = Report()
        self._stamp_roots = stamp_roots
        self._keys = keys
        self._server_keys = server_keys
        self._edge = Edge()
        self._roots: dict[int, bytes] = {}
        """Of the trees of those sizes that a checkpoint speaks of, or may."""
        self._claimed = -1
        self._announced: list[int] = []
        """Sizes of the checkpoints that are to come."""
        self._seen: list[int] = []
        self._commitments: dict[int, str] = {}
        self._let_go = 0
        """Entries whose text was let go of, as the log itself says."""
        self._last: Checkpoint | None = None
        self._older = [note for text in older if (note := self._signed(text, "the older checkpoint"))]
        self._wanted = {checkpoint.size for checkpoint in self._older}

    def take(self, line: dict[str, Any]) -> None:
        match next(iter(line)):
            case "format":
                self._head(line)
            case "leaf":
                self._leaf(line["leaf"])
            case "pruned":
                self._pruned(line["pruned"])
            case "checkpoint":
                self._checkpoint(line["checkpoint"])
            case "personal":
                self._opening(line["personal"])
            case "damaged":
                self._problem(f"entry {line['damaged']}: the database says something else beside it")
            case "server":
                self._server(line["server"])
            case "stamped":
                self._stamped(line["stamped"])
            case kind:
                self._problem(f"a line of the unknown kind {kind!r}")

    def _problem(self, text: str) -> None:
        self.report.problems.append(text)

    def _head(self, head: dict[str, Any]) -> None:
        if head["format"] != FORMAT:
            self._problem(f"this is {head['format']!r}, and {FORMAT!r} is understood")
        self.report.origin, self._claimed = head["origin"], head["size"]
        self._announced = head["checkpoints"]
        self._wanted |= set(self._announced)

    def _leaf(self, text: str) -> None:
        index = self._edge.size
        leaf = _parsed(text)
        if not is_canonical(text, leaf):
            self._problem(f"entry {index} is not in canonical form")
        if f"aitelier/{leaf['tenant']}" != self.report.origin:
            self._problem(f"entry {index} is of another log")
        at = datetime.fromisoformat(leaf["at"])
        self.report.first_at = self.report.first_at or leaf["at"]
        self.report.last_at = leaf["at"]
        if "personal" in leaf:
            self._commitments[index] = leaf["personal"]
        if leaf["tag"] == Tag.AUDIT_PRUNED:
            self._let_go = leaf["facts"]["up_to"]
            if datetime.fromisoformat(leaf["facts"]["before"]) > years_after(at, -AUDIT_YEARS):
                self._problem(f"entry {index} says that entries of less than {AUDIT_YEARS} years were let go of")
        self._append(leaf_hash(text.encode()))

    def _pruned(self, hashed: str) -> None:
        if self._edge.size != self.report.pruned:
            self._problem(f"the text of entry {self._edge.size} is missing, and that of an older one is there")
        self.report.pruned += 1
        self._append(_bytes(hashed))

    def _append(self, hashed: bytes) -> None:
        self._edge = self._edge.appended(hashed)
        self.report.entries += 1
        if self._edge.size in self._wanted:
            self._roots[self._edge.size] = self._edge.root

    def _checkpoint(self, text: str) -> None:
        found = self._signed(text, "the checkpoint")
        if found is None:
            return
        if found.origin != self.report.origin or self._roots.get(found.size) != found.root:
            self._problem(f"the checkpoint of {found.size} entries is of another log: an entry was changed")
            return
        self.report.checkpoints += 1
        self._seen.append(found.size)
        self._last = found

    def _opening(self, opening: dict[str, Any]) -> None:
        index = opening["index"]
        salt = _bytes(opening["salt"])
        expected = hmac.digest(salt, canonical(opening["personal"]).encode(), "sha256").hex()
        if not hmac.compare_digest(self._commitments.pop(index, ""), expected):
            self._problem(f"what is said about a person at entry {index} is not what was written")
            return
        self.report.openings += 1

    def _server(self, server: dict[str, Any]) -> None:
        """The server's own log has an entry of our last checkpoint."""
        if self._server_keys and (known := self._known(server)) is not None:
            if self._last is None or known != self._last.size:
                self._problem("the server's own log does not know this one")
            else:
                self.report.in_server_log = True

    def _stamped(self, stamped: dict[str, Any]) -> None:
        """An older checkpoint of that log, which knew one of ours, was stamped."""
        if self._server_keys and self._stamp_roots and (known := self._known(stamped)) is not None:
            answer = decoded(stamped["time_stamp"])
            try:
                at = stamped_at(answer, stamped["checkpoint"], self._stamp_roots)
            except StampError as error:
                self._problem(f"the time stamp: {error}")
                return
            self.report.stamped, self.report.stamped_at = known, at.isoformat()

    def _known(self, server: dict[str, Any]) -> int | None:
        """The size of the checkpoint of ours that a tree of the server's own log has as an entry."""
        try:
            tree = Note.parsed(server["checkpoint"]).proven_by(self._server_keys)
        except NoteError as error:
            self._problem(f"the server's checkpoint: {error}")
            return None
        entry = _parsed(server["leaf"])
        origin, size, root = f"aitelier/{entry['objects']['tenant']}", entry["facts"]["size"], entry["facts"]["root"]
        holds = inclusion_holds(
            index=server["index"],
            size=tree.size,
            leaf=leaf_hash(server["leaf"].encode()),
            proof=[_bytes(part) for part in server["proof"]],
            root=tree.root,
        )
        if not holds:
            self._problem("the server's own log does not know this one")
            return None
        if origin != self.report.origin or size not in self._seen or self._roots[size].hex() != root:
            self._problem("the server's own log knows another version of this one")
            return None
        found: int = size
        return found

    def _signed(self, text: str, what: str) -> Checkpoint | None:
        try:
            found = Note.parsed(text).proven_by(self._keys)
        except NoteError as error:
            self._problem(f"{what}: {error}")
            return None
        self.report.signed_by = {_KINDS[key.kind] for key in self._keys}
        return found

    def end(self) -> None:
        """What can be said once everything was read."""
        self.report.erased = len(self._commitments)
        for older in self._older:
            if older.origin != self.report.origin:
                self._problem("the older checkpoint is one of another log")
            elif self._roots.get(older.size) != older.root:
                self._problem(f"the first {older.size} entries are not what they were")
        if not self.report.origin:
            self._problem("this is no exported audit log")
        if self.report.pruned and self.report.pruned != self._let_go:
            self._problem(f"the texts of {self.report.pruned} entries are missing, and the log does not say why")
        if self._claimed != self._edge.size:
            self._problem(f"{self._claimed} entries were announced, and {self._edge.size} are there")
        if self._announced != self._seen:
            self._problem("other checkpoints were announced than are there")
        if self._last is None or self._last.size != self._edge.size:
            self._problem("no signed checkpoint covers the last entries")


_KINDS = {ED25519: "Ed25519", ML_DSA_44: "ML-DSA-44"}


def _bytes(text: str) -> bytes:
    """Of hexadecimal digits, which can be written in one way only."""
    found = bytes.fromhex(text)
    if found.hex() != text:
        raise ValueError("bytes are written in small hexadecimal digits")
    return found


def _refused(number: str) -> NoReturn:
    raise ValueError(f"{number[:20]} is no whole number")


_parsed = json.JSONDecoder(parse_float=_refused, parse_constant=_refused).decode
