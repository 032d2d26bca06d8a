import pjsua2 as pj
import pytest

from sip import frames

PCM = bytes(range(160)) * 2


def test_this_machine_has_the_layout() -> None:
    """The lock pins the library's hash, so the quick way must hold wherever the tests run."""
    assert frames.layout_holds()
    assert frames.frame_access() == (frames.read_in_place, frames.write_in_place, True)


@pytest.mark.parametrize("write", [frames.write_in_place, frames.write_by_the_book])
@pytest.mark.parametrize("read", [frames.read_in_place, frames.read_by_the_book])
def test_both_ways_agree(read: frames.ReadFrame, write: frames.WriteFrame) -> None:
    """What one way writes the other reads, so that falling back changes nothing but the cost."""
    frame = pj.MediaFrame()
    write(frame, PCM)
    assert read(frame) == PCM
    assert frame.type == pj.PJMEDIA_FRAME_TYPE_AUDIO


def test_an_empty_frame_reads_as_nothing() -> None:
    """While the caller sends nothing, frames have no sound."""
    assert frames.read_in_place(pj.MediaFrame()) == b""


def test_another_layout_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the vector elsewhere in the frame, the binding's own way would be taken."""
    monkeypatch.setattr(frames, "_BUF_OFFSET", 16)
    assert frames.frame_access() == (frames.read_by_the_book, frames.write_by_the_book, False)
