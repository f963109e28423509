"""The routes about files and batches, as OpenAI's clients know them."""

from __future__ import annotations

import tempfile
from contextlib import aclosing

import structlog
from aiohttp import web

from orchestrator.access.caller import Scope
from orchestrator.api.batch_bodies import (
    EXAMPLE_FILE,
    BatchBody,
    BatchesBody,
    BatchesQuery,
    BatchRequest,
    DeletedFileBody,
    FileBody,
    FilesBody,
    FilesQuery,
    batch_body,
    file_body,
    page,
)
from orchestrator.api.callers import caller_of, owner_of, tenant_of
from orchestrator.api.exchange import is_name, json_body, query_of, respond
from orchestrator.api.health import HealthHandlers
from orchestrator.api.keeping import JSON_LINES, Imports
from orchestrator.api.openai.parameters import validated
from orchestrator.api.openai.refusals import OPENAI
from orchestrator.api.parameters import TENANT, one
from orchestrator.api.places import Places, TooManyStreams
from orchestrator.api.problems import Draining
from orchestrator.api.routes import queries, route
from orchestrator.api.uploads import FORM, pieces, received
from orchestrator.batches.working import Batching
from orchestrator.errors import translated
from storage.batches import BatchNotFound, FileInUse, FileNotFound, FilesFull, no_batch, no_file
from storage.errors import StorageError

log = structlog.get_logger()

_SENT = {
    FORM: {
        "schema": {
            "type": "object",
            "required": ["file", "purpose"],
            "properties": {
                "file": {"type": "string", "format": "binary", "description": "JSON Lines."},
                "purpose": {"type": "string", "enum": ["batch"]},
                "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
            },
        }
    }
}
_CONTENT = {JSON_LINES: {"schema": {"type": "string", "description": "What is in the file."}}}


class BatchHandlers(HealthHandlers):
    """The part of the handlers that is about files and batches."""

    _places: Places
    _uploads: Imports
    _batching: Batching

    @route(
        "POST",
        "/v1/files",
        (200, "The file.", FileBody),
        name="upload_file",
        errors=(FilesFull, Draining),
        parameters=(TENANT,),
        takes=_SENT,
        scope=Scope.SUBMIT,
        changes=True,
        form=True,
        errors_as=OPENAI,
    )
    async def upload_file(self, request: web.Request) -> web.Response:
        """Upload a file of questions for a batch."""
        self._check_open()
        tenant, settings = owner_of(request), self._service.settings
        async with self._uploads.received(tenant):
            with tempfile.TemporaryFile(prefix="anabranch-upload-") as file:
                upload = await received(
                    request, file, most=settings.max_file_bytes, seconds=settings.client_seconds
                )
                async with self._uploads.stored():
                    stored = await self._batching.add_file(
                        tenant, upload.name, pieces(file), lasts=upload.lasts
                    )
        return respond(file_body(stored), headers={"Location": f"/v1/files/{stored.id}"})

    @route(
        "GET",
        "/v1/files",
        (200, "A page of files.", FilesBody),
        name="list_files",
        parameters=(TENANT, *queries(FilesQuery)),
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def list_files(self, request: web.Request) -> web.Response:
        """List files, those of results too."""
        query, tenant = query_of(FilesQuery, request), tenant_of(request)
        with translated():
            found = await self._service.store.batches.files(
                tenant,
                purpose=query.purpose,
                limit=query.limit + 1,
                after=_place(query.after),
                oldest_first=query.order == "asc",
            )
        return respond(FilesBody(**page([file_body(each) for each in found], query.limit)))

    @route(
        "GET",
        "/v1/files/{id}",
        (200, "The file.", FileBody),
        name="get_file",
        errors=(FileNotFound,),
        parameters=one("file"),
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def get_file(self, request: web.Request) -> web.Response:
        """Get what is known of a file."""
        return respond(file_body(await self._batching.file(*_file(request))))

    @route(
        "GET",
        "/v1/files/{id}/content",
        (200, "What is in the file.", _CONTENT),
        name="get_file_content",
        errors=(FileNotFound, TooManyStreams),
        parameters=one("file"),
        head=False,
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def get_file_content(self, request: web.Request) -> web.StreamResponse:
        """Get what is in a file."""
        file = await self._batching.file(*_file(request))
        response = web.StreamResponse(
            headers={"Content-Type": JSON_LINES, "Content-Disposition": "attachment"}
        )
        with self._places.taken(file.tenant):
            await response.prepare(request)
            left = file.size
            try:
                async with aclosing(self._service.store.batches.read_file(file)) as parts:  # type: ignore[type-var]
                    async for part in parts:
                        await response.write(part)
                        left -= len(part)
                if left:
                    raise no_file(file.id)  # it has been removed meanwhile
            except StorageError as error:
                log.warning("a file broke off", file=file.id, code=error.code, error=str(error))
                if request.transport is not None:
                    request.transport.abort()  # its end is missing, and no response could follow
                raise ConnectionError("a file broke off") from error
            await response.write_eof()
        return response

    @route(
        "DELETE",
        "/v1/files/{id}",
        (200, "It is gone.", DeletedFileBody),
        name="delete_file",
        errors=(FileNotFound, FileInUse),
        parameters=one("file"),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def delete_file(self, request: web.Request) -> web.Response:
        """Delete a file; one of results with the results."""
        with translated():
            gone = await self._service.store.batches.remove_file(*_file(request))
        return respond(DeletedFileBody(id=gone.id))

    @route(
        "POST",
        "/v1/batches",
        (200, "The batch.", BatchBody),
        name="create_batch",
        errors=(Draining,),
        parameters=(TENANT,),
        takes=BatchRequest,
        example={
            "input_file_id": EXAMPLE_FILE,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        },
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def create_batch(self, request: web.Request) -> web.Response:
        """Have each line of a file answered, when there is room."""
        self._check_open()
        asked = validated(BatchRequest, await json_body(request))
        batch = await self._batching.add(
            tenant=owner_of(request),
            endpoint=asked.endpoint,
            input_file_id=asked.input_file_id if is_name(asked.input_file_id) else "",
            window=asked.completion_window,
            metadata=asked.metadata or {},
            submitted_by=caller_of(request).key,
        )
        log.info("batch accepted", batch=batch.id, tenant=batch.tenant)
        return respond(batch_body(batch), headers={"Location": f"/v1/batches/{batch.id}"})

    @route(
        "GET",
        "/v1/batches",
        (200, "A page of batches.", BatchesBody),
        name="list_batches",
        parameters=(TENANT, *queries(BatchesQuery)),
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def list_batches(self, request: web.Request) -> web.Response:
        """List batches, newest first."""
        query, tenant = query_of(BatchesQuery, request), tenant_of(request)
        with translated():
            found = await self._service.store.batches.list(
                tenant, limit=query.limit + 1, after=_place(query.after)
            )
        return respond(BatchesBody(**page([batch_body(each) for each in found], query.limit)))

    @route(
        "GET",
        "/v1/batches/{id}",
        (200, "The batch.", BatchBody),
        name="get_batch",
        errors=(BatchNotFound,),
        parameters=one("batch"),
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def get_batch(self, request: web.Request) -> web.Response:
        """Get a batch as it stands."""
        return respond(batch_body(await self._batching.get(*_batch(request))))

    @route(
        "POST",
        "/v1/batches/{id}/cancel",
        (200, "The batch.", BatchBody),
        name="cancel_batch",
        errors=(BatchNotFound,),
        parameters=one("batch"),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def cancel_batch(self, request: web.Request) -> web.Response:
        """Cancel a batch; what was answered by then is in its files once it has ended."""
        return respond(batch_body(await self._batching.cancel(*_batch(request))))


def _file(request: web.Request) -> tuple[str, str | None]:
    """The id of the file that the path names, and the tenant to which it must belong."""
    return _known_file(request.match_info["id"]), tenant_of(request)


def _known_file(file_id: str) -> str:
    if not is_name(file_id):  # a database may refuse to look for anything else
        with translated():
            raise no_file("")
    return file_id


def _batch(request: web.Request) -> tuple[str, str | None]:
    """The id of the batch that the path names, and the tenant to which it must belong."""
    batch_id = request.match_info["id"]
    if not is_name(batch_id):
        with translated():
            raise no_batch("")
    return batch_id, tenant_of(request)


def _place(after: str | None) -> str | None:
    """A place in a list that every database can look for."""
    return after if after is None or is_name(after) else ""
