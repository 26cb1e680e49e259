"""One thread for one engine, and the queue before it: the urgent first, then in order.

The engines leave the interpreter lock while they compute, so a thread each lets them work side by
side and keeps the event loop free. An engine is used by its own thread alone.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def watched(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Return the task, whose failure goes to the loop's exception handler the moment it fails."""
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if task.cancelled() or task.exception() is None:
        return
    task.get_loop().call_exception_handler(
        {"message": f"{task.get_name()} failed", "exception": task.exception(), "task": task}
    )


class Worker(Generic[T]):
    """An engine, loaded at its first use, and everything that waits for it.

    Args:
        name: the thread's name.
        load: makes the engine; called in the thread, again after a failure.
    """

    def __init__(self, name: str, load: Callable[[], T]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._load = load
        self._engine: list[T] = []
        self._queue: list[tuple[int, int, Callable[[T], Any], asyncio.Future[Any]]] = []
        self._serial = 0
        self._busy = False

    def submit(self, use: Callable[[T], Any], urgency: int = 0) -> asyncio.Future[Any]:
        """Have `use(engine)` done; the lower the urgency's number, the sooner.

        Cancelling the future takes what has not begun out of the queue. What loading or `use`
        raises, the future raises.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._serial += 1
        heapq.heappush(self._queue, (urgency, self._serial, use, future))
        self._next()
        return future

    def warm(self) -> asyncio.Future[Any]:
        """Load the engine, unless it is."""
        return self.submit(lambda engine: None)

    def close(self) -> None:
        """Let the thread end; what waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        while self._queue and not self._busy:
            _, _, use, future = heapq.heappop(self._queue)
            if future.done():
                continue
            self._busy = True
            job = asyncio.get_running_loop().run_in_executor(self._pool, self._run, use)
            job.add_done_callback(lambda job, future=future: self._done(job, future))  # type: ignore[misc]

    def _run(self, use: Callable[[T], Any]) -> Any:
        if not self._engine:
            self._engine.append(self._load())
        return use(self._engine[0])

    def _done(self, job: asyncio.Future[Any], future: asyncio.Future[Any]) -> None:
        self._busy = False
        if not job.cancelled():
            error = job.exception()
            if not future.done():
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(job.result())
        self._next()
