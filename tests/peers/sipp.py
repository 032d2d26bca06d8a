"""sipp as many callers at once."""

import asyncio
import shutil
from pathlib import Path

CALLS = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="calls">
  <send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=u 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
]]></send>
  <recv response="100" optional="true"></recv>
  <recv response="180" optional="true"></recv>
  <recv response="200" rrs="true"></recv>
  <send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <pause distribution="uniform" min="0" max="250"/>
  <send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"></recv>
</scenario>
"""
"""A call that is hung up after up to a quarter of a second. A BYE from the other side fails it."""


def available() -> bool:
    return shutil.which("sipp") is not None


async def run(
    folder: Path, scenario: str, port: int, *, called: str, calls: int, rate: int, at_once: int
) -> tuple[int, str]:
    """Place so many calls; returns sipp's exit status (0: every call went as written) and its last words."""
    file = folder / "scenario.xml"
    file.write_text(scenario)
    process = await asyncio.create_subprocess_exec(
        "sipp",
        *("-sf", str(file), "-s", called, "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *("-m", str(calls), "-r", str(rate), "-l", str(at_once), "-nostdin", "-timeout", "40", f"127.0.0.1:{port}"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, printed.decode(errors="replace")[-2000:]
