from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.api.handlers import openapi_document as document
from tests.orchestrator.api.conftest import Open


async def test_every_route_is_documented_and_no_other(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.get("/openapi.json")
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in create_routes(api.service)
        if route.method != "HEAD"
    }
    documented = {(method, path) for path, methods in reply.body["paths"].items() for method in methods}
    assert documented == served
    assert reply.body == document()


def create_routes(service: Any) -> Any:
    from orchestrator.api.application import create_application

    return create_application(service).router.routes()


def test_every_reference_is_there() -> None:
    text = json.dumps(document())
    schemas = document()["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references <= set(schemas)
    assert {"TaskRequest", "TaskBody", "ErrorBody", "Solution", "BudgetRequest"} <= references
    assert "#/$defs/" not in text
    assert document()["openapi"].startswith("3.1")


def test_a_request_is_described_field_by_field() -> None:
    request = document()["components"]["schemas"]["TaskRequest"]
    assert request["required"] == ["query"]
    assert request["additionalProperties"] is False
    assert {"query", "planner", "budget", "sampling", "seed", "tenant"} <= set(request["properties"])
    operations = [op for methods in document()["paths"].values() for op in methods.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
