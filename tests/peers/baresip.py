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

    def __init__(
        self,
        folder: Path,
        *,
        encryption: str = "",
        codec: str = "PCMU",
        transport: str = "udp",
        user: str = "tester",
        authority: Path | None = None,
        quiet_seconds: int = 0,
        tone_seconds: int = 20,
    ) -> None:
        """`codec` may be G722/16000/1. `authority` is the certificate that the server's must be signed with."""
        self.folder = folder
        rate = 16_000 if "16000" in codec else 8_000
        said = folder / "said.wav"
        with wave.open(str(said), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            tone = (int(8000 * math.sin(2 * math.pi * 500 * n / rate)) for n in range(rate))
            quiet = bytes(2 * rate)
            file.writeframes(quiet * quiet_seconds + struct.pack(f"<{rate}h", *tone) * tone_seconds + quiet * 20)
        (folder / "config").write_text(
            f"module_path {MODULES}\n"
            + "".join(f"module {name}.so\n" for name in ("g711", "g722", "srtp", "aufile", "sndfile", "aubridge"))
            + "module_app account.so\nmodule_app menu.so\n"
            + f"audio_source aufile,{said}\naudio_player aubridge,void\nsnd_path {folder}\n"
            + "sip_listen 127.0.0.1:0\n"
            + (f"sip_cafile {authority}\n" if authority else "")
        )
        account = f"<sip:{user}@127.0.0.1;transport={transport}>;regint=0;audio_codecs={codec}"
        (folder / "accounts").write_text(account + (f";mediaenc={encryption}" if encryption else "") + "\n")
        (folder / "contacts").touch()

    async def call(self, uri: str, seconds: int, until: str = "") -> str:
        """Call for so long, which includes starting up, or until it prints something; returns what baresip printed."""
        process = await asyncio.create_subprocess_exec(
            "baresip",
            *("-f", str(self.folder), "-t", str(seconds), "-e", f"/dial {uri}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        printed = b""
        try:
            async with asyncio.timeout(seconds + 5):
                while piece := await process.stdout.read(4096):
                    printed += piece
                    if until and until.encode() in printed:
                        process.terminate()  # it closes its files
                        until = ""
                await process.wait()
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
