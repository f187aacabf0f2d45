"""One training as the server holds it: its process, what it has told so far, and its reins."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from app.learn_pace import Pace, Units
from vljepa.provenance import cores

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("stage", "examples", "loss", "look")  # kinds of events that pages are told
GRACE_S = 10.0  # for a process that was told to end
State = Literal["running", "paused", "stopping", "done", "stopped", "failed"]


class Run:
    """A training that has begun. Every method may be called from any thread.

    `asked` is what the process is told, `units` what there is to do; `film` is where the film to try the trained model
    on is, once there is one.
    """

    def __init__(self, asked: dict[str, Any], units: Units, pace: Pace) -> None:
        self.token, self.key = secrets.token_urlsafe(8), secrets.token_urlsafe(16)
        self.units, self.pace, self.error = units, pace, ""
        self.film: Path | None = None
        self.state: State = "running"
        self._events: list[dict[str, Any]] = []
        self._done: dict[str, float] = {}
        self._began = self._now()
        self._rested_s, self._resting_since = 0.0, 0.0  # paused, in all; since when, while it is
        self._took_s: float | None = None  # once it has ended
        self._work = Path(tempfile.mkdtemp(prefix="vljepa-train-"))
        self.asked = {**asked, "work": str(self._work)}
        self._lock = threading.Lock()
        self._process = self._begun()
        threading.Thread(target=self._listen, daemon=True, name="learn-run").start()

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return self.state in ("done", "stopped", "failed")

    def pause(self) -> None:
        """Let it wait before its next step."""
        with self._lock:
            if self.state == "running":
                self._say("pause")
                self.state, self._resting_since = "paused", self._now()

    def resume(self) -> None:
        """Let it go on."""
        with self._lock:
            if self.state == "paused":
                self._wake()
                self._say("resume")
                self.state = "running"

    def stop(self) -> None:
        """End it, keeping what was learned; at once if nothing was learned yet, or if it is told so a second time."""
        with self._lock:
            if self.state == "paused":
                self._wake()
            if self.state == "stopping" or not any(part.endswith(".step") for part in self._done):
                self._process.kill()
            self._say("stop")
            self.state = "stopping"

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)

    def view(self, seen: int) -> dict[str, Any]:
        """How it stands, with the events after the first `seen`."""
        with self._lock:
            steps = {part.partition(".")[0]: int(count) for part, count in self._done.items() if part.endswith(".step")}
            left_s = None if self.ended else self.pace.left_s(self.units, self._done, self._elapsed_s())
            return {"run": self.token, "state": self.state, "error": self.error, "what": self.asked["what"],
                    "asked": self.asked["run"], "events": self._events[seen:], "seen": len(self._events),
                    "steps": steps, "left_s": left_s, "fraction": self._fraction(left_s),
                    "elapsed_s": self._elapsed_s(), "kept": self.film is not None}

    def _begun(self) -> "subprocess.Popen[str]":
        # one core an arm; what trains on all of them must not burn those that others use while it waits
        threads = "1" if self.asked["what"] == "shapes" else str(cores())
        quiet = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        with (self._work / "said.txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.learn_worker"], cwd=ROOT, env={**os.environ, **quiet},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, encoding="utf-8")
        assert process.stdin is not None
        with suppress(OSError):  # then it has died at once, and `_listen` tells
            process.stdin.write(json.dumps(self.asked) + "\n")
            process.stdin.flush()
        return process

    def _listen(self) -> None:
        """Take in what the process tells, to its end."""
        assert self._process.stdout is not None and self._process.stdin is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._lock:
                    self._hear(json.loads(line))
        self._process.wait()
        with self._lock:
            if self.state == "stopping":
                self.state = "stopped"
            elif not self.ended:
                self.state, self.error = "failed", f"The training ended unexpectedly ({self._last_words()})."
            self._wake()
            self._took_s = self._elapsed_s()
            self._process.stdin.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "done":
            self._done[event["part"]] = event["count"]
            self.pace.learn(event["part"], event["each_s"])
        elif kind == "failed":
            self.state, self.error = "failed", event["error"]
        elif kind == "ended":
            self.film = None if event["film"] is None else Path(event["film"])
            self.state = "stopped" if self.state == "stopping" else "done"
            self.pace.keep(self._done, self._elapsed_s())  # before pages see the end, and ask of the next one
        if kind in SHOWN:
            self._events.append(event)

    def _fraction(self, left_s: float | None) -> float:
        if left_s is None:
            return 1.0
        elapsed_s = self._elapsed_s()
        return elapsed_s / max(1e-3, elapsed_s + left_s)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended meanwhile
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def _wake(self) -> None:
        if self._resting_since:
            self._rested_s += self._now() - self._resting_since
            self._resting_since = 0.0

    def _elapsed_s(self) -> float:
        """Seconds since it began, without those in which it was paused, or was over."""
        if self._took_s is not None:
            return self._took_s
        resting_s = self._now() - self._resting_since if self._resting_since else 0.0
        return self._now() - self._began - self._rested_s - resting_s

    def _last_words(self) -> str:
        lines = (self._work / "said.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else f"exit status {self._process.returncode}"

    @staticmethod
    def _now() -> float:
        return time.monotonic()
