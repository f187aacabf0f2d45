"""Set up and go: `python3 run.py app` starts the app, `python3 run.py test` checks everything.

Makes a virtual environment in `.venv` beside this file, installs what the command needs, and runs it there.
Arguments after the command are passed on: `python3 run.py app --port 7900`, `python3 run.py test -k ward`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
HELP = {"-h", "--help"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> int:
    """Run the command and return its exit status."""
    commands = {"app": start_app, "test": run_tests}
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells those who have an older one
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: install it and run this with it")
        return 2
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__)
        return 0 if HELP & set(sys.argv[1:]) else 2
    return commands[sys.argv[1]](sys.argv[2:])


def start_app(arguments: list[str]) -> int:
    """Install what the app needs, once, and start it; stop it with Ctrl-C. Its help needs nothing installed."""
    if HELP & set(arguments):
        return subprocess.call([sys.executable, "-m", "app", "--help"], cwd=HERE)
    install("requirements.txt")
    try:
        return subprocess.call([PYTHON, "-m", "app", *arguments], cwd=HERE)
    except KeyboardInterrupt:
        return 0


def run_tests(arguments: list[str]) -> int:
    """Install what tests need, a browser too where apt offers one, then lint, check types and test."""
    install("requirements-dev.txt")
    need_browser()
    checks = [["ruff", "check", "."], ["mypy"]] if not arguments else []
    for check in checks:
        if status := subprocess.call([PYTHON, "-m", *check], cwd=HERE):
            return status
    return subprocess.call([PYTHON, "-m", "pytest", *arguments], cwd=HERE)


def install(requirements: str) -> None:
    """Install a requirements file into `.venv`, unless that very list is there already."""
    texts = [(HERE / name).read_bytes() for name in ("requirements.txt", requirements)]
    wanted = hashlib.sha256(b"\0".join(texts)).hexdigest()
    stamp = VENV / f"{requirements}.installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        print(f"Making a virtual environment in {VENV} ...", flush=True)
        venv.create(VENV, with_pip=True)
    print(f"Installing {requirements}; the first time this takes some minutes ...", flush=True)
    subprocess.check_call([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                           HERE / requirements])
    stamp.write_text(wanted)


def need_browser() -> None:
    """Install Chromium where Debian's or Ubuntu's apt can; elsewhere the tests say what is missing."""
    if any(shutil.which(name) for name in BROWSERS) or not shutil.which("apt-get"):
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    print("Installing Chromium for the tests of the app ...", flush=True)
    subprocess.call([*sudo, "apt-get", "update", "-qq"])
    subprocess.call([*sudo, "apt-get", "install", "-y", "-qq", "chromium"], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
