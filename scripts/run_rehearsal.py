"""The process of the local model and speech server."""

import asyncio
import signal

from scripts.board import Board
from scripts.child import Child
from scripts.settings import REHEARSAL_KEY
from voice.rehearsal import server


def run_rehearsal(board: Board, child: Child) -> int:
    """Serve until told to end."""

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(
                server.run(port=board.rehearsal_port, api_key=REHEARSAL_KEY, ready=lambda _: child.ready()),
                name="rehearsal",
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)

    return child.run(main)
