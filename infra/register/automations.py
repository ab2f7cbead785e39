"""What the Prefect server does by itself: end the dead, tell of failures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

NOTIFY_VARIABLE = "SYMBIO_NOTIFY_URL"
"""Environment variable: where a failed or crashed flow run is told of, by POST, as JSON."""

SILENCE_S = 90
"""A run that sends a heartbeat every 30 s and has missed three of them is dead."""

DEAD_RUNS = "symbio: a silent flow run has crashed"
"""Name of the automation that marks runs as crashed."""

_NOTIFY = "symbio: tell of failed flow runs"
_BLOCK = "symbio-notify"

# All states that a run can be in without being heard: ended, or waiting outside a process.
_QUIET_STATES = (
    *("Completed", "Failed", "Crashed", "Cancelled", "Cancelling"),
    *("Paused", "Suspended", "Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot"),
)

_PAYLOAD = """{
  "flow": {{ flow.name | tojson }},
  "flow_run": {{ flow_run.name | tojson }},
  "deployment": {{ deployment.name | default("") | string | tojson }},
  "state": {{ flow_run.state.name | tojson }},
  "message": {{ flow_run.state.message | default("") | string | tojson }},
  "url": {{ flow_run | ui_url | tojson }}
}"""


def register_automations(client: Any, notify_url: str | None) -> int:
    """Make or update the automations; returns how many there are.

    Args:
        client: Prefect's synchronous client.
        notify_url: where failures are told; None: nowhere, and an automation that did is removed.
    """
    _upsert(client, _dead_runs())
    if notify_url is None:
        for known in client.read_automations_by_name(_NOTIFY):
            client.delete_automation(known.id)
        return 1
    _upsert(client, _notification(_webhook(notify_url)))
    return 2


def _dead_runs() -> Any:
    """A run whose process or machine is gone says nothing: silence is the only sign."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=DEAD_RUNS,
        description=f"No heartbeat for {SILENCE_S} s: its process or its machine is gone.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat} | {f"prefect.flow-run.{state}" for state in _QUIET_STATES},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                force=False,
                state=StateType.CRASHED,
                message=f"No heartbeat for {SILENCE_S} s: its process or its machine is gone.",
            )
        ],
    )


def _notification(webhook_id: Any) -> Any:
    from prefect.events.actions import CallWebhook
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=_NOTIFY,
        description=f"POST to the address in {NOTIFY_VARIABLE} of whoever registered this.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            match_related={
                "prefect.resource.id": ["prefect.tag.symbio"],
                "prefect.resource.role": ["tag"],
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=webhook_id, payload=_PAYLOAD)],
    )


def _webhook(url: str) -> Any:
    """Keep the address, which may hold a key, where Prefect keeps secrets; returns its id."""
    from prefect.blocks.webhook import Webhook
    from prefect.types import SecretDict
    from pydantic import SecretStr

    block = Webhook(
        method="POST", url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"})
    )
    return block.save(_BLOCK, overwrite=True)


def _upsert(client: Any, wanted: Any) -> None:
    """By name: an automation that is there keeps its id, and whether somebody paused it."""
    known = client.read_automations_by_name(wanted.name)
    if not known:
        client.create_automation(wanted)
        return
    client.update_automation(known[0].id, wanted.model_copy(update={"enabled": known[0].enabled}))
    for double in known[1:]:
        client.delete_automation(double.id)
