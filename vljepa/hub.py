"""Files from the model hub and back to it. Whatever goes wrong is one sentence with the remedy, mapped here alone.

A file that is on this machine is taken without asking the network. `VLJEPA_HUB` may name a folder that stands in for
the hub, laid out `owner/name/file`: for machines without a network, and for a team's own shelf.
"""

import errno
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vljepa.errors import CheckpointError

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?", re.ASCII)  # owner/name, and a revision if wanted
UNASKED = "VLJEPA_NOTHING_UNASKED"  # environment: HF_HUB_OFFLINE is set, but what the user fetches may be fetched
Report = Callable[[str, float], None]  # what is going on, and the share of it that is done


def is_repository(name: str) -> bool:
    """Whether `name` has the form of a repository on the hub, `owner/name` or `owner/name@revision`."""
    return REPOSITORY.fullmatch(name) is not None


def fetch(repository: str, *files: str, report: Report | None = None) -> Path:
    """The folder that holds `files` of a repository, fetched where this machine lacks them.

    `report` None shows bars on the terminal. CheckpointError says what was in the way and what to do about it.
    """
    name, _, revision = repository.partition("@")
    if (shelf := _shelf()) is not None:
        return _on_shelf(shelf, name, files)
    with _told(repository):
        return [_fetch_one(name, file, revision or None, report) for file in files][-1].parent


def has_file(repository: str, file: str, report: Report | None = None) -> bool:
    """Whether the repository has that file, by fetching it as `fetch` does: False only if it surely has not."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    name, _, revision = repository.partition("@")
    if (shelf := _shelf()) is not None:
        return (shelf / name / file).is_file()
    with _told(repository):
        try:
            _fetch_one(name, file, revision or None, report)
        except LocalEntryNotFoundError:  # it is an EntryNotFoundError too, but means no network
            raise
        except EntryNotFoundError:
            return False
    return True


def publish(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a folder as a repository, made if it is not there yet; returns its address."""
    if (shelf := _shelf()) is not None:
        target = shelf / repository
        with _told(repository):
            shutil.copytree(folder, target, dirs_exist_ok=True)
        return str(target)
    from huggingface_hub import HfApi

    with _told(repository, "written to"):
        api = HfApi()
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message="Upload a VL-JEPA checkpoint")
        return str(address)


def _shelf() -> Path | None:
    chosen = os.environ.get("VLJEPA_HUB")
    return Path(chosen).expanduser() if chosen else None


def _on_shelf(shelf: Path, name: str, files: tuple[str, ...]) -> Path:
    folder = shelf / name
    if not folder.is_dir():
        raise CheckpointError(f"there is no {name} in {shelf}, which VLJEPA_HUB names: copy the repository there, or "
                              "unset VLJEPA_HUB to fetch it from the hub")
    for file in files:
        if not (folder / file).is_file():
            raise CheckpointError(f"{folder} has no {file}: copy the whole repository there")
    return folder


def _fetch_one(name: str, file: str, revision: str | None, report: Report | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    planned = hf_hub_download(name, file, revision=revision, dry_run=True)
    _need_disk(Path(planned.local_path), planned.file_size or 0, f"{name}/{file}")
    bar: dict[str, Any] = {} if report is None else {"tqdm_class": _reporting_bar(f"Fetching {name}/{file}", report)}
    return Path(hf_hub_download(name, file, revision=revision, **bar))


def _need_disk(path: Path, size: int, what: str) -> None:
    """OSError "no space left" before a long download rather than at its end."""
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{what} needs {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free", str(existing))


def _reporting_bar(what: str, report: Report) -> type:
    from tqdm import tqdm

    class Bar(tqdm):
        """Draws nothing and tells `report`, whose exception cancels the download."""

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)  # the hub's own bars have names
            super().__init__(*args, **{**options, "disable": False, "file": io.StringIO(), "mininterval": 1.0})

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.total:
                report(what, min(self.n / self.total, 1.0))
            return shown

    return Bar


@contextmanager
def _told(repository: str, deed: str = "fetched") -> Iterator[None]:
    """Turn what the hub's client raises into a CheckpointError that says what to do."""
    import httpx2  # what the hub's client itself speaks
    from huggingface_hub import errors

    cannot = f"{repository} cannot be {deed}: "
    page = f"https://huggingface.co/{repository.partition('@')[0]}"
    try:
        with _network():
            yield
    except errors.GatedRepoError:
        raise CheckpointError(f"{cannot}its owner asks you to accept a licence first: do so on {page}, then log in "
                              "with `hf auth login`, or choose an ungated copy") from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(f"{cannot}the hub knows no such repository, or it is private: check the name, or log in "
                              "with `hf auth login`") from None
    except errors.RevisionNotFoundError:
        raise CheckpointError(f"{cannot}it has no such revision: leave out what stands behind the @") from None
    except (errors.LocalEntryNotFoundError, ConnectionError) as error:
        raise CheckpointError(cannot + _no_network(error)) from None
    except errors.EntryNotFoundError as error:
        raise CheckpointError(f"{cannot}it lacks a file ({_first_line(error)}): it may not be a checkpoint for this "
                              "program") from None
    except errors.HFValidationError as error:
        raise CheckpointError(f"{cannot}{_first_line(error)}; repositories are named owner/name") from None
    except errors.LocalTokenNotFoundError:
        raise CheckpointError(f"{cannot}that needs an account: log in with `hf auth login`") from None
    except errors.HfHubHTTPError as error:
        raise CheckpointError(cannot + _http(error)) from None
    except httpx2.TransportError as error:  # what is no answer of the hub
        raise CheckpointError(cannot + _no_network(error)) from None
    except OSError as error:
        raise CheckpointError(cannot + _disk(error)) from None


@contextmanager
def _network() -> Iterator[None]:
    """The network, where it is switched off only so that no library asks the hub for anything unasked."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before and not os.environ.get(UNASKED)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _no_network(error: BaseException) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE and not os.environ.get(UNASKED):
        return ("it is not on this machine yet, and HF_HUB_OFFLINE forbids the network: unset it for the first time, "
                "or name a folder with the files in VLJEPA_HUB")
    cause = error.__cause__ or error
    return (f"it is not on this machine yet and the hub does not answer ({type(cause).__name__}): connect to the "
            "network for the first time, or name a folder with the files in VLJEPA_HUB")


def _http(error: Any) -> str:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return "the hub does not let you: log in with `hf auth login`, with a token that may do this"
    if status == 429:
        return "the hub has had too many requests from here: wait a few minutes, or log in with `hf auth login`"
    return f"the hub answered {status or 'an error'} ({_first_line(error)}): try again later"


def _disk(error: OSError) -> str:
    where = error.filename or "the cache folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        told = "" if error.strerror == os.strerror(error.errno) else f" ({error.strerror})"
        return f"the disk of {where} is full{told}: make room, or set HF_HOME to a folder on another disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} may not be written to: set HF_HOME to a folder of yours"
    return f"{error.strerror or error} ({where}): try again"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
