"""baresip as a caller: an independent SIP, RTP and SRTP implementation."""

import asyncio
import math
import shutil
import struct
import wave
from pathlib import Path

MODULES = Path("/usr/lib/baresip/modules")


def available() -> bool:
    return shutil.which("baresip") is not None and MODULES.is_dir()


class Baresip:
    """One call from a folder of its own; says a tone, writes down what it hears."""

    def __init__(self, folder: Path, *, encryption: str = "", codec: str = "PCMU") -> None:
        self.folder = folder
        said = folder / "said.wav"
        with wave.open(str(said), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            tone = (int(8000 * math.sin(2 * math.pi * 500 * n / 8000)) for n in range(8000))
            file.writeframes(struct.pack("<8000h", *tone) * 20)
        (folder / "config").write_text(
            f"module_path {MODULES}\n"
            + "".join(f"module {name}.so\n" for name in ("g711", "g722", "srtp", "aufile", "sndfile", "aubridge"))
            + "module_app account.so\nmodule_app menu.so\n"
            + f"audio_source aufile,{said}\naudio_player aubridge,void\nsnd_path {folder}\n"
            + "sip_listen 127.0.0.1:0\n"
        )
        account = f"<sip:tester@127.0.0.1;transport=udp>;regint=0;audio_codecs={codec}"
        (folder / "accounts").write_text(account + (f";mediaenc={encryption}" if encryption else "") + "\n")
        (folder / "contacts").touch()

    async def call(self, uri: str, seconds: int) -> str:
        """Call for so long, which includes starting up; returns what baresip printed."""
        process = await asyncio.create_subprocess_exec(
            "baresip",
            *("-f", str(self.folder), "-t", str(seconds), "-e", f"/dial {uri}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), seconds + 5)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return printed.decode(errors="replace")

    def loudest_heard(self) -> int:
        (heard,) = self.folder.glob("dump-*-dec.wav")
        with wave.open(str(heard), "rb") as file:
            sound = file.readframes(file.getnframes())
        return max(memoryview(sound).cast("h"), default=0)
