"""Signed notes against one that somebody else signed, and keys that are not given up for the lesser one."""

import base64

import pytest

from store.audit.notes import Checkpoint, Note, NoteError, Signer, VerifierKey

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SAID = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
"""The example of golang.org/x/mod/sumdb/note."""

HERE = Checkpoint("aitelier/here", 3, b"r" * 32)
SIGNER = Signer(b"s" * 32, HERE.origin)


def test_a_note_of_others_is_understood() -> None:
    """Key, number and signature of the format's own example hold, and not for another text."""
    key, raw = VerifierKey.parsed(NEUMANN), base64.b64decode(SIGNED)
    assert str(key) == NEUMANN
    assert raw[:4] == key.number
    assert key.signed(HERE, SAID, raw[4:])
    assert not key.signed(HERE, SAID + "!", raw[4:])


def test_a_signature_of_each_kind_is_wanted() -> None:
    """Whoever can forge one kind of signature cannot leave out the other, where both keys are known."""
    text, *lines = SIGNER.sign(HERE, 1).split("— ")
    classic, lasting = (f"{text}— {line}" for line in lines)
    note = Note.parsed(f"{classic}— {lines[1]}")
    assert note.proven_by(SIGNER.public) == HERE
    assert Note.parsed(classic).proven_by(SIGNER.public[:1]) == HERE
    for one in (classic, lasting):
        with pytest.raises(NoteError, match="not signed by the given keys"):
            Note.parsed(one).proven_by(SIGNER.public)
    with pytest.raises(NoteError, match="not signed"):
        note.proven_by(())


def test_a_key_signs_for_its_own_log_only() -> None:
    """All logs of a server are signed by the same key; under another log's name it says nothing about this one."""
    renamed = SIGNER.sign(HERE, 1).replace("— aitelier/here", "— aitelier/there")
    there = Signer(b"s" * 32, "aitelier/there")
    for here, key in zip(SIGNER.public, there.public, strict=True):
        changed = renamed.split("\n")
        for at, line in enumerate(changed):
            mark, _, raw = line.rpartition(" ")
            if mark and base64.b64decode(raw)[:4] == here.number:
                changed[at] = f"{mark} {base64.b64encode(key.number + base64.b64decode(raw)[4:]).decode()}"
        with pytest.raises(NoteError):
            Note.parsed("\n".join(changed)).proven_by((key,))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "no signatures\n1\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "a\n01\n" + base64.b64encode(b"r" * 32).decode() + "\n\n— a AAAA\n",
        "a\n1\nAAAA\n\n— a AAAA\n",
        "a\n1\n" + base64.b64encode(b"r" * 32).decode() + "\n\n- a AAAA\n",
        "a\n1\n" + base64.b64encode(b"r" * 32).decode() + "\n\n— a !\n",
        "a\n" + "9" * 5000 + "\n" + base64.b64encode(b"r" * 32).decode() + "\n\n— a AAAA\n",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    """With one error, whatever is wrong with it."""
    with pytest.raises(NoteError):
        Note.parsed(note)


@pytest.mark.parametrize("key", ["", "a+b", "a+00000000+AQ==", NEUMANN[:-4] + "AAAA", NEUMANN.replace("c74f", "c74e")])
def test_what_is_no_key_is_refused(key: str) -> None:
    """A damaged key is not taken for another one."""
    with pytest.raises(NoteError):
        VerifierKey.parsed(key)
