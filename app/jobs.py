"""Long work in a thread of its own: it tells how far it is, and stops when it is cancelled or nobody asks any more."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from app.messages import sentence_for

FORGOTTEN_S = 20.0  # a page that was closed cancels nothing; its silence does
KEPT_S = 600.0
_log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Raised inside a job's work by `Job.report` once the job was cancelled."""


@dataclass
class Job:
    """One piece of work as its watcher sees it: `stage` in words, `fraction` 0 to 1, then a result or one sentence."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    stage: str = "Waiting"
    fraction: float = 0.0
    result: Any = None
    error: str | None = None
    cancelled: bool = False
    thread: threading.Thread | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    preview: dict[str, Any] = field(default_factory=dict)  # what can be shown before the end
    points: list[Float[np.ndarray, "new 7"]] = field(default_factory=list)  # second, novelty, x, y and x, y, z
    _stop: threading.Event = field(default_factory=threading.Event)
    _seen_at: float = field(default_factory=time.monotonic)

    def report(self, stage: str, fraction: float) -> None:
        """Say how far the work is; raises `Cancelled` if it is to stop."""
        if self._stop.is_set() or time.monotonic() - self._seen_at > FORGOTTEN_S:
            raise Cancelled
        self.stage, self.fraction = stage, min(max(fraction, 0.0), 1.0)

    def cancel(self) -> None:
        """Ask the work to stop; it does at its next report."""
        self._stop.set()

    def seen(self) -> None:
        """Somebody still watches."""
        self._seen_at = time.monotonic()

    def told(self) -> dict[str, Any]:
        """What a page that watches is told: how far the work is, or why it failed."""
        self.seen()
        if self.error:
            return {"error": self.error}
        return {"stage": self.stage, "fraction": self.fraction, "done": self.finished.is_set()}


class Jobs:
    """The running and lately finished jobs by token."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, work: Callable[[Job], Any]) -> Job:
        """Run `work(job)` in a thread; its return value becomes `job.result`."""
        job = Job()
        with self._lock:
            old = time.monotonic() - KEPT_S
            self._jobs = {t: j for t, j in self._jobs.items() if not (j.finished.is_set() and j._seen_at < old)}
            self._jobs[job.token] = job
        job.thread = threading.Thread(target=self._run, args=(job, work), daemon=True, name="explore-job")
        job.thread.start()
        return job

    def get(self, token: str) -> Job:
        """The job that `start` returned; ValueError if it is unknown or long over."""
        with self._lock:
            if token not in self._jobs:
                raise ValueError("that analysis is over; open the film again")
            return self._jobs[token]

    def cancel_all(self) -> None:
        """Stop every job that runs, but for the one that asks."""
        with self._lock:
            for job in self._jobs.values():
                if job.thread is not threading.current_thread():
                    job.cancel()

    @staticmethod
    def _run(job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = work(job)
        except Cancelled:
            job.cancelled = True
        except Exception as error:
            job.error = sentence_for(error)
        finally:
            job.finished.set()
