"""A plan as one table."""

from __future__ import annotations

from rich import box
from rich.table import Table

from symbio.plan.budget import duration_text
from symbio.plan.fit import gib
from symbio.plan.memory import Peak
from symbio.plan.plan import Plan


def table_of(plan: Plan) -> Table:
    """Rows: stages, network, memory, run, problems."""
    table = Table(box=box.SIMPLE_HEAD, title=f"symbio plan {plan.dataset}", title_justify="left")
    for heading in ("what", "how much", "why, of what"):
        table.add_column(heading, overflow="fold")
    _stages(table, plan)
    _network(table, plan)
    _memory(table, plan)
    _run(table, plan)
    for problem in plan.problems:
        table.add_row("[bold red]problem[/]", "[bold red]does not fit[/]", _plain(problem))
    if not plan.problems:
        table.add_row("[green]all fits[/]", "", "")
    return table


def _stages(table: Table, plan: Plan) -> None:
    if plan.stages_unknown is not None:
        table.add_row("stages", "not known", _plain(plan.stages_unknown))
    for work in plan.stages:
        table.add_row(
            f"stage {work.name}",
            "runs" if work.reasons else "up to date",
            _plain("\n".join(work.reasons)),
        )
    table.add_section()


def _network(table: Table, plan: Plan) -> None:
    frame = f"{plan.size[0]}x{plan.size[1]} pixels"
    if plan.num_parameters is not None and plan.flops_a_frame is not None:
        table.add_row("parameters", f"{plan.num_parameters / 1e6:.2f} M", "")
        forward = plan.flops_a_frame / 1e9
        table.add_row(
            "FLOPs a frame",
            f"{forward:.2f} G",
            f"forward, {frame}; a training step about {3 * forward * plan.batch:.0f} G",
        )
        table.add_section()


def _memory(table: Table, plan: Plan) -> None:
    for peak in plan.peaks:
        chosen = " (chosen)" if peak.stage == plan.zero_stage else ""
        table.add_row(f"peak a rank, ZeRO-{peak.stage}{chosen}", gib(peak.total), _parts(peak))
    if plan.peaks:
        beside = f"; the CUDA context, about {gib(plan.cuda_context)}, is taken off"
        room = f"for each of the ranks on a host{beside if plan.cuda_context else ''}"
        table.add_row("memory there", gib(plan.limit), f"{room}: {_plain(plan.device)}")
    if plan.measured is not None and plan.peak is not None:
        ratio = plan.peak.total / plan.measured["peak_bytes"]
        table.add_row(
            "measured peak",
            gib(plan.measured["peak_bytes"]),
            f"last run of this shape, {plan.measured['time']}; estimated / measured {ratio:.2f}",
        )
    table.add_section()


def _parts(peak: Peak) -> str:
    parts = {
        "activations": peak.activations,
        "gradients": peak.gradients,
        "weights": peak.weights,
        "optimiser": peak.optimizer,
        "process, frames": peak.host,
        "allocator": peak.slack,
    }
    return ", ".join(f"{name} {gib(size)}" for name, size in parts.items() if size)


def _run(table: Table, plan: Plan) -> None:
    epochs = "" if plan.epochs is None else f"; {plan.epochs:.1f} epochs"
    table.add_row(
        "steps",
        str(plan.steps),
        f"{plan.batch} frames each: ranks {plan.ranks} x micro-batches {plan.accumulation} x "
        f"frames {plan.micro_batch}{epochs}",
    )
    if plan.disk is not None:
        disk = plan.disk
        table.add_row(
            "disk",
            gib(disk.needed),
            f"{disk.kept} checkpoints of {gib(disk.checkpoint)} and one being written, "
            f"best and exported network; {gib(disk.free)} are free"
            if disk.kept
            else f"best and exported network; {gib(disk.free)} are free",
        )
    if plan.duration is None or plan.training_s is None:
        table.add_row("training", "not known", plan.duration_unknown)
    else:
        step = f"{plan.duration.step_s:.2f} s a step: {plan.duration.source}"
        table.add_row("training", duration_text(plan.training_s), step)
    if plan.cost is not None:
        table.add_row(
            "cost",
            f"{plan.cost:.2f}",
            f"training, at the price given for a host; hosts: {plan.hosts}",
        )


def _plain(text: str) -> str:
    """Text whose brackets are no markup."""
    return text.replace("[", "\\[")
