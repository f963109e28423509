"""Anabranch: parallel LLM reasoning that stops when its branches agree.

The front door: everything that a program needs can be imported from here.

    from anabranch import solve

    print(solve("What is 17 * 23?", planner="vote").answer)
"""

from orchestrator.access.caller import Forbidden as Forbidden
from orchestrator.access.caller import Unauthorized as Unauthorized
from orchestrator.access.refusals import QuotaExhausted as QuotaExhausted
from orchestrator.access.refusals import RateLimited as RateLimited
from orchestrator.access.refusals import TooManyTasks as TooManyTasks
from orchestrator.client import AsyncClient as AsyncClient
from orchestrator.client import Client as Client
from orchestrator.client import SolveOptions as SolveOptions
from orchestrator.client import asolve as asolve
from orchestrator.client import solve as solve
from orchestrator.client import stream as stream
from orchestrator.errors import AnabranchError as AnabranchError
from orchestrator.errors import Conflict as Conflict
from orchestrator.errors import Divergence as Divergence
from orchestrator.errors import InvalidRequest as InvalidRequest
from orchestrator.errors import NodeCancelled as NodeCancelled
from orchestrator.errors import NodeFailed as NodeFailed
from orchestrator.errors import ServiceError as ServiceError
from orchestrator.errors import TaskFailed as TaskFailed
from orchestrator.errors import TaskNotFound as TaskNotFound
from orchestrator.errors import Unavailable as Unavailable
from orchestrator.errors import Unknown as Unknown
from orchestrator.errors import UnknownPlanner as UnknownPlanner
from orchestrator.planning.planner import Planner as Planner
from orchestrator.planning.planner import planner as planner
from orchestrator.planning.run import Run as Run
from orchestrator.planning.suits import Suits as Suits
from orchestrator.remote.trying import Patience as Patience
from orchestrator.runtime.change import Change as Change
from orchestrator.runtime.messages import assistant as assistant
from orchestrator.runtime.messages import calling as calling
from orchestrator.runtime.messages import result as result
from orchestrator.runtime.messages import system as system
from orchestrator.runtime.messages import user as user
from orchestrator.runtime.nodes import Node as Node
from orchestrator.runtime.values import Answer as Answer
from orchestrator.runtime.values import Question as Question
from orchestrator.settings import Settings as Settings
from orchestrator.tasks.estimating import Basis as Basis
from orchestrator.tasks.estimating import Estimate as Estimate
from orchestrator.tasks.feed import Progress as Progress
from orchestrator.tasks.solution import Solution as Solution
from orchestrator.voting.ahead import Firm as Firm
from storage.events import Event as Event
from storage.tasks import Task as Task
from storage.tasks import TaskStatus as TaskStatus
from storage.trace import Trace as Trace
from workers.calls import Call as Call
from workers.calls import Chunk as Chunk
from workers.calls import Completion as Completion
from workers.calls import Usage as Usage
from workers.engine import Capabilities as Capabilities
from workers.engine import Engine as Engine
from workers.engine import Health as Health
from workers.errors import CallRejected as CallRejected
from workers.errors import ToolError as ToolError
from workers.errors import ToolUnavailable as ToolUnavailable
from workers.tools.declaration import tool as tool
from workers.tools.http_json import http_tool as http_tool
from workers.tools.tool import Tool as Tool
