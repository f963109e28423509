"""The routes about webhooks: who is told that tasks have ended, and what became of the messages."""

from __future__ import annotations

from aiohttp import web

from orchestrator.access.caller import Scope
from orchestrator.api.callers import owner_of, tenant_of
from orchestrator.api.exchange import is_name, json_body, query_of, respond
from orchestrator.api.parameters import TENANT, one
from orchestrator.api.routes import queries, route
from orchestrator.api.webhook_bodies import (
    DeliveriesPage,
    DeliveriesQuery,
    DeliveryBody,
    RotateQuery,
    SecretBody,
    WebhookBody,
    WebhooksBody,
    delivery_body,
    secret_body,
    webhook_body,
)
from orchestrator.errors import translated
from orchestrator.tasks.service import Service
from orchestrator.webhooks.registry import RegisterRequest, registration
from storage.webhooks import TooManyWebhooks, WebhookDisabled, WebhookNotFound, no_delivery, not_found

ONE = one("endpoint")
"""The parameters of a route that is about one endpoint."""

DELIVERY = {
    "name": "delivery",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "The id of the delivery.",
}


class WebhookHandlers:
    """The part of the handlers that is about webhooks."""

    _service: Service

    @route(
        "POST",
        "/v1/webhooks",
        (201, "Registered; the secret is shown only now.", SecretBody),
        name="register_webhook",
        parameters=(TENANT,),
        errors=(TooManyWebhooks,),
        takes=RegisterRequest,
        example={"url": "https://example.com/hook", "events": ["task.succeeded"], "description": "the shop"},
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def register_webhook(self, request: web.Request) -> web.Response:
        """Register an endpoint that is told when tasks end."""
        asked = registration(await json_body(request))
        webhook = await self._service.webhooks.register(asked, owner_of(request))
        return respond(secret_body(webhook), 201, headers={"Location": f"/v1/webhooks/{webhook.id}"})

    @route(
        "GET",
        "/v1/webhooks",
        (200, "The endpoints.", WebhooksBody),
        name="list_webhooks",
        parameters=(TENANT,),
        scope=Scope.READ,
    )
    async def webhooks(self, request: web.Request) -> web.Response:
        """List the registered endpoints, without their secrets."""
        found = await self._service.webhooks.registered(tenant_of(request))
        return respond(WebhooksBody(webhooks=tuple(map(webhook_body, found))))

    @route(
        "GET",
        "/v1/webhooks/{id}",
        (200, "The endpoint.", WebhookBody),
        name="get_webhook",
        errors=(WebhookNotFound,),
        parameters=ONE,
        scope=Scope.READ,
    )
    async def webhook(self, request: web.Request) -> web.Response:
        """Get an endpoint, also one that a task names."""
        return respond(webhook_body(await self._service.webhooks.get(*_named(request))))

    @route(
        "DELETE",
        "/v1/webhooks/{id}",
        (200, "The endpoint that was removed.", WebhookBody),
        name="remove_webhook",
        errors=(WebhookNotFound,),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def remove_webhook(self, request: web.Request) -> web.Response:
        """Remove an endpoint, with its deliveries."""
        return respond(webhook_body(await self._service.webhooks.remove(*_named(request))))

    @route(
        "POST",
        "/v1/webhooks/{id}/rotate",
        (200, "The endpoint with a new secret, which is shown only now.", SecretBody),
        name="rotate_webhook",
        errors=(WebhookNotFound,),
        parameters=(*ONE, *queries(RotateQuery)),
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def rotate_webhook(self, request: web.Request) -> web.Response:
        """Get a new secret for an endpoint; for a while, messages are signed with the former ones too."""
        query = query_of(RotateQuery, request)
        rotated = await self._service.webhooks.rotate(*_named(request), query.keep_seconds)
        return respond(secret_body(rotated))

    @route(
        "POST",
        "/v1/webhooks/{id}/enable",
        (200, "The endpoint.", WebhookBody),
        name="enable_webhook",
        errors=(WebhookNotFound,),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def enable_webhook(self, request: web.Request) -> web.Response:
        """Send to an endpoint again that is disabled or paused."""
        return respond(webhook_body(await self._service.webhooks.enable(*_named(request))))

    @route(
        "POST",
        "/v1/webhooks/{id}/ping",
        (202, "Queued; its delivery tells how it went.", DeliveryBody),
        name="ping_webhook",
        errors=(WebhookNotFound, WebhookDisabled),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def ping_webhook(self, request: web.Request) -> web.Response:
        """Send an endpoint a message of type `webhook.ping`."""
        return respond(delivery_body(await self._service.webhooks.ping(*_named(request))), 202)

    @route(
        "GET",
        "/v1/webhooks/{id}/deliveries",
        (200, "A page of deliveries.", DeliveriesPage),
        name="list_deliveries",
        errors=(WebhookNotFound,),
        parameters=(*ONE, *queries(DeliveriesQuery)),
        scope=Scope.READ,
    )
    async def deliveries(self, request: web.Request) -> web.Response:
        """List the deliveries to an endpoint, newest first."""
        query = query_of(DeliveriesQuery, request)
        webhook_id, tenant = _named(request)
        if query.before is not None and not is_name(query.before):
            with translated():
                raise no_delivery(webhook_id, "")
        found = await self._service.webhooks.deliveries(
            webhook_id, tenant, status=query.status, limit=query.limit, before=query.before
        )
        more = found[-1].id if len(found) == query.limit else None
        return respond(DeliveriesPage(deliveries=tuple(map(delivery_body, found)), next=more))

    @route(
        "POST",
        "/v1/webhooks/{id}/deliveries/{delivery}/resend",
        (202, "Queued again.", DeliveryBody),
        name="resend_delivery",
        errors=(WebhookNotFound, WebhookDisabled),
        parameters=(DELIVERY, *ONE),
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def resend_delivery(self, request: web.Request) -> web.Response:
        """Send a message once more, under the same id; one that still waits stays as it is."""
        webhook_id, tenant = _named(request)
        delivery_id = request.match_info["delivery"]
        if not is_name(delivery_id):
            with translated():
                raise no_delivery(webhook_id, "")
        queued = await self._service.webhooks.resend(webhook_id, tenant, delivery_id)
        return respond(delivery_body(queued), 202)


def _named(request: web.Request) -> tuple[str, str | None]:
    """The id of the endpoint that the path names, and the tenant to which it must belong."""
    webhook_id = request.match_info["id"]
    if not is_name(webhook_id):  # a database may refuse to look for anything else
        with translated():
            raise not_found("")
    return webhook_id, tenant_of(request)
