"""Settings, from the environment (``ANABRANCH_…``) or a ``.env`` file; arguments override them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from typing_extensions import override

from orchestrator.errors import InvalidRequest
from orchestrator.validation import explain

Weight = Annotated[float, Field(ge=0.001, le=1_000)]


def _separated(given: object) -> object:
    """The items of a text that separates them by commas; anything else as it is."""
    return (
        tuple(each for item in given.split(",") if (each := item.strip()))
        if isinstance(given, str)
        else given
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separated)]
"""Names, separated by commas."""


class Settings(BaseSettings):
    """How an Anabranch process is set up."""

    model_config = SettingsConfigDict(env_prefix="ANABRANCH_", env_file=".env", extra="ignore")

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings from the environment, overridden by what is given.

        Raises:
            InvalidRequest: names each setting that is wrong, and what would be right.
        """
        try:
            return cls.model_validate(cls().model_dump() | given)
        except ValidationError as error:
            raise InvalidRequest(f"settings (ANABRANCH_…): {explain(error)}") from None
        except SettingsError as error:
            cause = error.__cause__
            why = "cannot be read" if isinstance(cause, OSError | UnicodeDecodeError) else "not valid JSON"
            raise InvalidRequest(f"settings (ANABRANCH_…): {error}: {why}: {cause}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f".env cannot be read: {error}") from None

    def asking(
        self, *, url: str | None = None, key: str | None = None, plain_http: bool | None = None
    ) -> Self:
        """The settings with what was given of a service elsewhere; None: nothing was.

        The key of the settings is for the service that they name, if they name one, and for no other.
        """
        update: dict[str, Any] = {}
        if url is not None:
            update["url"] = url
            if self.url is not None and self.url.rstrip("/") != url.rstrip("/"):
                update["key"] = None
        if key is not None:
            update["key"] = SecretStr(key)
        if plain_http is not None:
            update["plain_http"] = plain_http
        return self.model_copy(update=update)

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given counts more than the environment, this more than ``.env``, and that more than files.

        Raises:
            InvalidRequest: the directory of the files is not there.
        """
        sources = init_settings, env_settings, dotenv_settings
        directory = os.environ.get("ANABRANCH_SECRETS_DIR")
        if not directory:
            return sources
        if not Path(directory).is_dir():
            raise InvalidRequest(f"ANABRANCH_SECRETS_DIR: there is no directory {directory}")
        return *sources, SecretsSettingsSource(settings_cls, secrets_dir=directory)

    secrets_dir: Path | None = Field(
        None,
        description="A directory with files that are named like settings (`anabranch_database`) and hold "
        "their values, as container platforms and systemd hand over secrets. Only the environment sets it.",
    )

    @field_validator("secrets_dir")
    @classmethod
    def _read_in_time(cls, given: Path | None) -> Path | None:
        if given is not None and not os.environ.get("ANABRANCH_SECRETS_DIR"):
            raise ValueError(
                "it counts in the environment only; where this one stands, its files are not read"
            )
        return given

    engine: str = Field(
        "embedded",
        description="`embedded` (llama.cpp in this process), `vllm` (a server that Anabranch starts), or the "
        "base URLs of OpenAI-compatible servers, separated by commas.",
    )
    model: str | None = Field(
        None, description="A catalogue name or GGUF file (embedded), or the model that a server should use."
    )
    nli: str | None = Field(
        None,
        description="The entailment model for `judge=nli` (extra `nli`): a directory, or a repository on the "
        "Hugging Face hub as `organisation/model` or `organisation/model@commit`.",
    )
    router: Path | None = Field(
        None,
        description="A trained router for `route=trained` of `skeleton`; `python -m benchmarks.train_router` "
        "makes one.",
    )
    mcp_servers: str | None = Field(
        None,
        description="MCP servers whose tools planners may call (extra `mcp`): a JSON file with `mcpServers`, "
        "as other clients read it, or that JSON itself.",
    )
    http_tools: str | None = Field(
        None, description="HTTP endpoints as tools: a JSON file with a list of them, or that JSON itself."
    )
    url: str | None = Field(
        None,
        description="The URL of a service elsewhere, which then is asked in place of an engine of this "
        "process: by clients that are given neither, and by commands.",
    )
    key: SecretStr | None = Field(
        None, description="A key of that service, which `anabranch keys create` makes there."
    )
    plain_http: bool = Field(
        False, description="Whether that key may travel unencrypted, to a URL with `http://` elsewhere."
    )
    api_key: str | None = Field(
        None, description="Key for OpenAI-compatible servers, sent as a bearer token or as Azure wants it."
    )
    engine_headers: dict[str, str] = Field(
        {}, description="Further headers for OpenAI-compatible servers: a JSON object of names and values."
    )
    vllm_options: dict[str, Any] = Field(
        {},
        description="Options of the vLLM servers that Anabranch starts (`--engine vllm`): a JSON object of "
        "names with underscores and values.",
    )
    database: str | None = Field(
        None,
        description="`sqlite:///path`, `postgresql://…` or `memory`; by default this user's own file.",
    )
    fix_permissions: bool = Field(
        False,
        description="Whether files of the database and caches that other users can read are made private, "
        "and not only named in a warning.",
    )
    check: bool = Field(True, description="Whether `serve` looks for damage in a SQLite file when it starts.")
    calibration: Path | None = Field(
        None,
        description="A file written by `anabranch calibrate`, or a directory of such files; by default this "
        "user's directory.",
    )
    abstain_below: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The outcome of a task is `abstained` if its answer is not known to be right with this "
        "probability or more, unless its request says otherwise.",
    )
    queue: PositiveInt = Field(
        10_000, description="The most tasks that may wait to begin, in the whole database; more are refused."
    )
    tenant_queue: PositiveInt = Field(5_000, description="The most of those of one tenant.")
    tenant_weights: dict[str, Weight] = Field(
        {},
        description="How many turns a tenant has in the queue while others have one: a JSON object of names "
        "and numbers from 0.001 to 1000. All processes on one database should have the same.",
    )
    batch_every: int = Field(
        10,
        ge=2,
        description="Of so many tasks that begin while both kinds wait, one is a batch task.",
    )
    concurrency: PositiveInt = Field(64, description="Tasks that one process runs at the same time.")
    lease_seconds: PositiveFloat = Field(
        30.0,
        allow_inf_nan=False,
        description="How long a process may be silent before another may take over its tasks.",
    )
    max_attempts: PositiveInt = Field(
        5, description="How many processes may die running a task before it is declared dead."
    )
    grace_seconds: PositiveFloat = Field(30.0, description="How long a drain lets running tasks go on.")
    stuck_seconds: PositiveFloat = Field(
        10.0,
        allow_inf_nan=False,
        description="How long the event loop of `serve` may be blocked before who blocks it is interrupted.",
    )
    min_free_bytes: NonNegativeInt = Field(
        100_000_000, description="With less room on the disk of the database, `serve` is not ready."
    )
    call_seconds: PositiveFloat = Field(600.0, description="How long one call to an engine may take.")
    max_query_chars: PositiveInt = Field(200_000, description="Longer questions are refused.")
    streams: PositiveInt = Field(
        1_000, description="The most event streams and waiting requests of one process at the same time."
    )
    tenant_streams: PositiveInt = Field(200, description="The most of those for one tenant.")
    client_seconds: PositiveFloat = Field(
        30.0,
        description="How long a client may take to send a request, or leave unread what it is sent.",
    )
    idle_seconds: PositiveFloat = Field(
        75.0, allow_inf_nan=False, description="How long a connection of a client may have no request."
    )
    allowed_hosts: Names = Field(
        (),
        description="Names by which clients may reach `serve` without a key, besides its own address and "
        "`localhost`: `name` or `*.name` each, separated by commas.",
    )
    allowed_origins: Names = Field(
        (),
        description="Pages of other origins that may use `serve`: `https://app.example` each, separated by "
        "commas.",
    )
    max_header_bytes: int = Field(
        8_192, ge=1_024, le=1_048_576, description="Of a header of a request, or of its first line."
    )
    max_body_bytes: PositiveInt = Field(4_194_304, description="Of the body of a request.")
    max_body_values: PositiveInt = Field(10_000, description="Of the JSON values in a body.")
    max_body_depth: int = Field(64, ge=8, le=500, description="How deep the values of a body may be nested.")
    max_import_bytes: PositiveInt = Field(
        64_000_000, description="Of one trace that is imported over HTTP; larger are refused."
    )
    max_file_bytes: PositiveInt = Field(
        100_000_000, description="Of one file of questions for a batch; larger are refused."
    )
    tenant_file_bytes: PositiveInt = Field(
        1_000_000_000, description="Of all files of a tenant together, with those of results."
    )
    batch_lines: PositiveInt = Field(50_000, description="Of one batch of the API.")
    batch_width: PositiveInt = Field(
        32, description="Lines of one batch that wait in the queue or run at the same time."
    )
    webhook_private_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts, addresses and networks that webhooks may reach although they are not of the "
        'public internet, and by plain http too: a JSON list such as `["127.0.0.1"]`.',
    )
    webhook_retry_seconds: tuple[Annotated[float, Field(ge=0, le=604_800)], ...] = Field(
        (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0),
        max_length=20,
        description="From each failed attempt of a webhook to the next, as a JSON list; each wait is up to a "
        "quarter longer, at random.",
    )
    chat_progress: Literal["reasoning_content", "reasoning", "none"] = Field(
        "reasoning_content",
        description="Where streams to clients of OpenAI's protocol tell how a run goes, and what models "
        "think: in which member of their deltas, or nowhere.",
    )
    chat_helpers: str = Field(
        "anabranch/engine",
        description="The model that answers what chat programs ask for themselves, such as titles, in place "
        "of a planner; empty: the planner.",
    )
    max_request_chars: PositiveInt = Field(
        4_000_000, description="Of one prompt, or of the JSON of a tool's arguments; longer are not sent."
    )
    max_tool_result_chars: PositiveInt = Field(
        1_000_000, description="Of the JSON of what one tool returns; larger results fail their calls."
    )
    max_answer_chars: PositiveInt = Field(
        1_000_000, description="Of all the texts of an answer; a run fails that has a longer one."
    )
    max_value_chars: PositiveInt = Field(
        1_000_000, description="Of what a trace keeps of one value of a planner; the rest is left out."
    )
    max_label_chars: PositiveInt = Field(1_000, description="Of the label of a node; the rest is left out.")
    prompt_price: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="What a million tokens of prompts cost, in the currency of the cost budgets.",
    )
    completion_price: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="What a million tokens of completions cost, in the currency of the cost budgets.",
    )
    otel: bool = Field(
        False,
        description="Whether spans are sent while runs go on (extra `otel`), to where OpenTelemetry's own "
        "variables such as `OTEL_EXPORTER_OTLP_ENDPOINT` say.",
    )
    otel_content: bool = Field(
        False, description="Whether these spans tell what was asked and answered, and the messages of errors."
    )
    log_format: Literal["console", "json"] = Field("console", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("warning", description="What is logged.")
