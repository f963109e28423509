"""What an MCP server returns, as the result of a tool: data, and nothing that is acted on."""

from __future__ import annotations

from typing import Any

from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from workers.errors import ToolError
from workers.showing import SAID, cut


def value_of(result: CallToolResult, tool: str) -> Any:
    """The structured content, or else the texts.

    A structured content whose only field is ``result``, as servers wrap what is no object, is that field.

    Raises:
        ToolError: the server says that the call failed, or it returned nothing but images, sound or files.
    """
    texts, others = [], []
    for each in result.content:
        match each:
            case TextContent():
                texts.append(each.text)
            case EmbeddedResource(resource=TextResourceContents() as resource):
                texts.append(resource.text)
            case ResourceLink():
                texts.append(f"{each.name}: {each.uri}")
            case ImageContent() | AudioContent():
                others.append(f"{each.type} ({each.mime_type})")
            case _:
                others.append(each.type)
    text = "\n".join(texts)
    if result.is_error:
        raise ToolError(f"{tool} failed: {cut(text, SAID) or 'its server does not say why'}")
    if result.structured_content is not None:
        match result.structured_content:
            case {"result": value, **rest} if not rest:
                return value
        return result.structured_content
    if others and not texts:
        raise ToolError(f"{tool} returned {cut(', '.join(others), 200)}: only text and JSON can be passed on")
    return text if texts else None
