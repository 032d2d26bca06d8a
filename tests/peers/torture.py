"""What is due to each message of RFC 4475, and damage done to good messages."""

import random
import re
from pathlib import Path

OK = {200}
DUE_TO_RFC_4475 = {
    "badaspec": {400}, "badbranch": OK, "baddate": OK, "baddn": {400}, "badinv01": {400}, "badvers": {505},
    "bcast": None, "bext01": {420}, "bigcode": None, "clerr": {400}, "cparam01": {405}, "cparam02": {405},
    "dblreq": {405}, "esc01": OK, "esc02": {405}, "escnull": {405}, "escruri": {400}, "insuf": None,
    "intmeth": {405}, "inv2543": {400}, "invut": {415}, "longreq": OK, "ltgtruri": {400}, "lwsdisp": OK,
    "lwsruri": {400}, "lwsstart": {400}, "mcl01": {400}, "mismatch01": {400}, "mismatch02": {400}, "mpart01": {405},
    "multi01": {400}, "ncl": {400}, "noreason": None, "novelsc": {416}, "quotbal": {400}, "regaut01": {405},
    "regbadct": {405}, "regescrt": {405}, "scalar02": {400}, "scalarlg": None, "sdp01": OK, "semiuri": OK,
    "test": None, "transports": OK, "trws": {400}, "unkscm": {416}, "unksm2": {405}, "unreason": None,
    "wsinv": {481}, "zeromf": OK,
}  # fmt: skip
"""Status per message; None: dropped (answers to nothing, and what lacks all that an answer is made of)."""
NOT_WHOLE = {"baddn", "clerr"}
"""On a stream, messages whose rest has not come yet."""

_SPLICES = [b"\r\n", *b"; , : < > @ % \x00 \xff".split(), b'"', b"=" * 40, b" " * 300, b"A" * 3000]


def torture_messages(vectors: Path, transport: str) -> dict[str, tuple[bytes, set[int] | None]]:
    """Each message as it is to be sent, and the status it is due."""
    found = {}
    for path in sorted((vectors / "rfc4475").glob("*.dat")):
        data, due = path.read_bytes(), DUE_TO_RFC_4475[path.stem]
        sent = data
        if transport == "udp":  # answers go to the port in Via unless it asks for rport: let them come to us
            sent = data.replace(b";branch=390skdjuw", b";rport;branch=390skdjuw")
            if sent == data:
                sent = re.sub(rb"(?im)^((?:via|v) *:[^\r]*?)(?=;branch|\r)", rb"\1;rport", data, count=1)
        elif path.stem in NOT_WHOLE:
            due = None
        found[path.stem] = (sent, due)
    assert set(found) == set(DUE_TO_RFC_4475)
    return found


def mutated(message: bytes, random_: random.Random) -> bytes:
    """One to four bytes or pieces changed, added, doubled, or gone."""
    data = bytearray(message)
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data))
        match random_.randrange(6):
            case 0:
                data[at] = random_.randrange(256)
            case 1:
                data[at:at] = random_.choice(_SPLICES)
            case 2:
                del data[at : at + random_.randint(1, 40)]
            case 3:
                data[at:at] = data[at : at + random_.randint(1, 200)]
            case 4:
                lines = bytes(data).split(b"\r\n")
                random_.shuffle(lines)
                data = bytearray(b"\r\n".join(lines))
            case _:
                del data[random_.randrange(1, len(data) + 1) :]
        data = data or bytearray(b"x")
    return bytes(data)


def honest(statuses: dict[int, int]) -> bool:
    """Whether no 5xx is among them but those for no slot and for another version of SIP."""
    return all(status < 500 or status in {503, 505} for status in statuses)
