"""The HTTP server with everything it serves: every route of the API is documented, and the login works on all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import jsonschema
import pytest

from ferstream.app.commands import Commands
from ferstream.app.page_server import PUBLIC_PATHS, all_routes, page_server
from ferstream.app.running import Running
from ferstream.app.status import access_of, heartbeats_of
from ferstream.app.uploads import Uploads
from ferstream.app.web import live_page
from ferstream.pipeline.models import Models
from ferstream.runtime.counters import Counters
from ferstream.settings import Settings
from ferstream.telemetry.server import TelemetryServer
from tests.support.openapi import check, check_answer, document
from tests.support.running import running_of
from tests.support.telemetry import TOKEN, ask

pytestmark = pytest.mark.usefixtures("no_new_threads")
MakeSettings = Callable[..., Settings]
Serve = Callable[..., TelemetryServer]


@pytest.fixture
def serve(make_settings: MakeSettings, models: Models) -> Iterator[Serve]:
    """Starts the server of a daemon with the given settings."""
    with ExitStack() as stack:

        def start(**tables: Any) -> TelemetryServer:
            running = running_of(make_settings(**tables), models=models)
            page = live_page(running.settings, observer=Counters(), clock=running.engine.clock)
            server = page_server(running, page, heartbeats=heartbeats_of(running), commands=Commands(wake=threading.Event()), stack=stack)
            server.start()
            stack.callback(server.stop, 20)
            return server

        yield start


def routes_of(running: Running) -> list[Any]:
    page = live_page(running.settings, observer=Counters(), clock=running.engine.clock)
    uploads = Uploads(lambda: running.settings, model="m/1")
    access = access_of(running.settings, PUBLIC_PATHS)
    return all_routes(running, page, commands=Commands(wake=threading.Event()), uploads=uploads, access=access)


# -- the document ----------------------------------------------------------------------------------


def test_every_route_of_the_api_is_in_the_document_and_no_other(make_settings: MakeSettings, models: Models) -> None:
    routes = routes_of(running_of(make_settings(), models=models))
    real = {(method, route.path) for route in routes for method in route.methods if method != "HEAD" and route.path.startswith("/api/")}
    methods = ("get", "post", "put", "delete", "patch")
    documented = {(method.upper(), path) for path, item in document()["paths"].items() for method in item if method in methods}
    assert real == documented


def test_every_schema_of_the_document_is_a_schema_whose_references_exist() -> None:
    schemas = document()["components"]["schemas"]
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        with pytest.raises(jsonschema.ValidationError):
            check("no value has this form", {"$ref": f"#/components/schemas/{name}"})


def test_every_operation_has_a_name_a_summary_and_the_answers_of_the_guard() -> None:
    operations = [value for item in document()["paths"].values() for value in item.values() if isinstance(value, dict)]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert {"401", "403", "421", "429"} <= set(operation["responses"])


# -- answers ---------------------------------------------------------------------------------------


def test_the_state_says_what_may_be_uploaded(serve: Serve) -> None:
    server = serve()
    status, headers, text = ask(server, "/api/1/state")
    check_answer("GET", "/api/1/state", status, headers["content-type"], text)
    assert '"uploads":{"stills":true,"recordings":true,"max_bytes":2147483648,' in text


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"privacy": {"aggregate_only": True}}, "privacy.aggregate_only is set"),
        ({"http": {"listen": "127.0.0.1:0", "max_upload_bytes": 0}}, "uploads are switched off by http.max_upload_bytes = 0"),
    ],
)
def test_uploads_are_refused_with_the_setting_that_says_so(serve: Serve, tables: dict[str, Any], reason: str) -> None:
    server = serve(**tables)
    assert '"uploads":{"stills":false,"recordings":false' in ask(server, "/api/1/state")[2]
    for method, path in (("POST", "/api/1/stills"), ("POST", "/api/1/recordings"), ("GET", "/api/1/recordings")):
        status, headers, text = ask(server, path, method=method)
        check_answer(method, path, status, headers["content-type"], text)
        assert status == 403
        assert reason in text


@pytest.mark.parametrize(
    ("method", "path"),
    [(method.upper(), path) for path, item in document()["paths"].items() for method in item if method in {"get", "post", "delete"}],
)
def test_nothing_of_the_api_is_answered_without_a_login(serve: Serve, method: str, path: str) -> None:
    server = serve(http={"listen": "127.0.0.1:0", "token": TOKEN})
    status, headers, text = ask(server, path.replace("{", "").replace("}", ""), method=method)
    assert status == 401
    check_answer(method, path, status, headers["content-type"], text)


def test_the_name_of_the_node_and_configured_names_are_answered(serve: Serve) -> None:
    server = serve(http={"listen": "127.0.0.1:0", "token": TOKEN, "allowed_hosts": ["faces.example.org"]})
    given = {host: ask(server, "/login", headers={"host": host})[0] for host in ("edge-1.local", "faces.example.org", "evil.example")}
    assert given == {"edge-1.local": 200, "faces.example.org": 200, "evil.example": 421}
