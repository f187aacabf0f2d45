"""Who may use the app, asked of a real server; and the files that take it elsewhere."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.__main__ import _parser, main
from app.access import check_host, is_this_machine, users
from vljepa.errors import VLJEPAError

ROOT = Path(__file__).resolve().parent.parent


def test_names_come_with_the_password_in_their_file(tmp_path, monkeypatch):
    (tmp_path / "one").write_text("secret: with a colon \n")
    monkeypatch.delenv("VLJEPA_AUTH", raising=False)
    assert users([]) == []
    assert users([f"ann:{tmp_path / 'one'}"]) == [("ann", "secret: with a colon ")]
    monkeypatch.setenv("VLJEPA_AUTH", "bob:b:c")
    assert users([]) == [("bob", "b:c")]


@pytest.mark.parametrize(("entry", "told"), [
    ("ann", "must be USER:FILE"), (":x", "must be USER:FILE"), ("ann:missing", "missing cannot be read: No such file"),
    ("ann:empty", "empty is empty: write the password of ann"),
])
def test_what_is_no_user_is_one_sentence(entry, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(VLJEPAError, match=told):
        users([entry])
    monkeypatch.setenv("VLJEPA_AUTH", "nobody")
    with pytest.raises(VLJEPAError, match="VLJEPA_AUTH must be"):
        users([])


def test_other_machines_are_not_let_in_unasked():
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.9"):
        assert is_this_machine(host)
        check_host(host, [], False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(VLJEPAError, match="can be reached from other machines: give --auth"):
            check_host(host, [], False)
        check_host(host, [("ann", "x")], False)
        check_host(host, [], True)


def test_the_app_refuses_at_once_on_the_command_line(monkeypatch):
    monkeypatch.delenv("VLJEPA_AUTH", raising=False)
    done = subprocess.run([sys.executable, "-m", "app", "--host", "0.0.0.0"], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: 0.0.0.0 can be reached from other machines")


def test_a_taken_port_is_told_before_the_model_is_loaded(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--checkpoint", "nonesuch"]) == 2  # the port is looked at first
    assert capsys.readouterr().err.startswith(f"error: port {port} on 127.0.0.1 cannot be used (")


@pytest.mark.parametrize(("words", "told"), [(["--port", "70000"], "argument --port: must be 1 to 65535, got 70000"),
                                             (["--prot", "7900"], "unrecognized arguments")])
def test_a_mistake_on_the_apps_command_line_is_one_line_and_status_two(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert told in said
    assert said.count("\n") == 1


def test_the_container_starts_what_exists_for_those_who_have_a_password(tmp_path, monkeypatch):
    said = (ROOT / "Dockerfile").read_text()
    python, *words = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", said, re.MULTILINE)[1])
    assert (python, words[:2]) == ("python", ["-m", "app"])
    options = _parser().parse_args(words[2:])
    assert f"EXPOSE {options.port}" in said
    monkeypatch.delenv("VLJEPA_AUTH", raising=False)
    with pytest.raises(VLJEPAError, match="give --auth"):
        check_host(options.host, users(options.auth), options.no_auth)
    (tmp_path / "password").write_text("a long one")
    given = re.search(r"vl-jepa (--auth \S+)$", said, re.MULTILINE)[1].replace("/run/secrets", str(tmp_path)).split()
    assert users(_parser().parse_args([*words[2:], *given]).auth) == [("viewer", "a long one")]
    for copied in re.findall(r"^COPY (\S+) ", said, re.MULTILINE):
        assert (ROOT / copied).exists()
    assert "password" in (ROOT / ".dockerignore").read_text().split()


def test_the_space_header_is_the_hubs():
    header = yaml.safe_load((ROOT / "docs/space_header.yaml").read_text())
    assert header["sdk"] == "docker"
    assert str(header["app_port"]) in (ROOT / "Dockerfile").read_text()
    assert len(header["short_description"]) <= 60
