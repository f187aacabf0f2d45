"""What other programs can call, as they call it: through gradio's client and through MCP, on a running server."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
import torch
from browsing import serving
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import vljepa
from app.engine import Engine
from app.server import serve
from app.store import Store
from vljepa.bench_shared import write_video
from vljepa.indexing import embed_here, index, open_or_create

ROOT = Path(__file__).resolve().parent.parent
OFFERED = {"ask_video", "classify_video", "find_moments", "search_library", "caption_video"}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "bars.mp4"
    write_video(path, 6.0)
    return path


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu", dtype=torch.float32)


def serve_smoke(checkpoint: str, root: Path) -> None:
    """What the process of the server runs."""
    model = vljepa.load(Path(checkpoint), device="cpu", dtype=torch.float32)
    serve(Engine(model, "smoke", Store(root / "explore")), "127.0.0.1", None)


@pytest.fixture(scope="module")
def address(smoke, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    code = f"import test_api as t; t.serve_smoke({str(smoke)!r}, t.Path({str(root)!r}))"
    with serving(root, "-c", code) as served:
        yield f"{served.address.rstrip('/')}/"


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_these_and_no_others_are_offered_each_documented_and_typed(address):
    info = httpx.get(f"{address}gradio_api/info").json()
    assert set(info["named_endpoints"]) == {f"/{name}" for name in OFFERED}
    assert info["unnamed_endpoints"] == {}
    for endpoint in info["named_endpoints"].values():
        assert all(parameter["type"] for parameter in endpoint["parameters"])
    tools = {tool["name"]: tool for tool in httpx.get(f"{address}gradio_api/mcp/schema").json()}
    assert set(tools) == OFFERED
    for tool in tools.values():
        assert len(tool["description"]) > 80
        assert all(p.get("description") for p in tool["inputSchema"]["properties"].values())


def test_every_function_answers_a_client(client, video, tmp_path, model):
    film = handle_file(str(video))
    reply = client.predict(film, "What colour is it?", ["red", "blue"], 1.0, 3.0, api_name="/ask_video")
    assert {a["text"] for a in reply["answers"]} == {"red", "blue"}
    assert {"question", "answers", "decoded", "sure"} <= set(reply)
    found = client.predict(film, ["ball", "box"], api_name="/classify_video")
    assert found["labels"] == ["ball", "box"]
    assert "over_time" not in found
    timed = client.predict(film, ["ball", "box"], over_time=True, api_name="/classify_video")
    assert len(timed["over_time"]) == len(timed["times"]) == 24
    moments = client.predict(film, "a red ball", api_name="/find_moments")
    assert {"start_s", "end_s", "peak_s", "similarity"} <= set(moments[0])
    captions = client.predict(film, 3, api_name="/caption_video")
    assert captions[0]["start_s"] == 0.0
    assert len(captions) == 3
    library, rate_hz = open_or_create(tmp_path / "a.library", model, None)
    index(library, video.parent, embed_here(model, rate_hz))
    hits = client.predict(str(library.path), "a red ball", api_name="/search_library")
    assert hits[0]["video"] == str(video.resolve())


@pytest.mark.parametrize(("words", "told"), [
    (("", ["a", "b"]), "The question is empty"), (("What?", ["a"]), "at least 2 different answers"),
    (("What?", ["a", "b"], 5.0, 1.0), "The time range must lie within"),
])
def test_a_program_is_told_what_the_page_would_show(client, video, words, told):
    with pytest.raises(AppError, match=told):
        client.predict(handle_file(str(video)), *words, api_name="/ask_video")


def test_a_file_that_was_not_uploaded_is_refused(address):
    sent = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    event = httpx.post(f"{address}gradio_api/call/caption_video", json={"data": [sent, None]}).json()
    if "event_id" in event:
        told = httpx.get(f"{address}gradio_api/call/caption_video/{event['event_id']}").text
        assert "event: error" in told
        assert "caption" not in told.split("data:")[1]


def test_an_mcp_client_lists_and_calls_the_tools(address, tmp_path):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def call():
        async with (streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
                    ClientSession(read, write) as session):
            await session.initialize()
            tools = await session.list_tools()
            missing = {"library": str(tmp_path / "none.library"), "text": "a dog"}
            return {tool.name for tool in tools.tools}, await session.call_tool("search_library", missing)

    names, result = asyncio.run(call())
    assert names == OFFERED
    assert "There is no library at" in result.content[0].text


def test_the_readmes_client_example_works(address, video):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"<!-- client: run by tests/test_api.py -->\n```python\n(.*?)```", readme, re.DOTALL)[1]
    assert "http://127.0.0.1:7860" in code
    assert '"film.mp4"' in code
    shown = []
    code = code.replace("http://127.0.0.1:7860", address).replace('"film.mp4"', repr(str(video)))
    exec(code, {"print": lambda *words: shown.append(words)})
    assert len(shown) == 3
