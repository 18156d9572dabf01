"""Status: how things stand now, in a dozen lines, without opening the warehouse.

In: the runs' documents, `incidents.json`, the night's lock. Out: a terminal report, and one line
for a machine that watches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from common import findings, lock, paths
from common.runs import Run, business_date
from operations import acknowledged, alerts, coming, history, interventions, page, series

LATE_HOURS = 26.0  # a night a day, and two hours' grace
SHOWN_HOLDS = 4


def show(console: Console) -> int:
    """Print how things stand; 0 when well, 1 when the latest night failed or is overdue, 2 when
    something waits, 3 when partly failed.
    """
    nights = [run for run in Run.finished() if run.facts()["verb"] == "nightly"]
    running = lock.holder(paths.var() / "night.lock")
    if pause := interventions.current():
        console.print(f"[yellow]Paused:[/]    {escape(pause.sentence)}", highlight=False)
    if running:
        where = _under_way(Run.latest(), nights[-1] if nights else None)
        console.print(
            f"Now:       a night is running ({running}){where}", markup=False, highlight=False
        )
    for one in series.every():
        console.print(
            f"Part:      {one.name}: {one.sentence}", markup=False, highlight=False, soft_wrap=True
        )
    if not nights:
        console.print('Nights:    none yet; "make nightly" runs one', highlight=False)
        return 0
    latest = nights[-1]
    recorded, summary = latest.facts(), latest.read("summary.json")
    hours = (
        datetime.now(UTC) - datetime.fromisoformat(recorded["finished_at"])
    ).total_seconds() / 3600
    console.print(
        f"Latest:    night of {recorded['as_of']}, {recorded['status']}, ended {_ago(hours)} ago",
        markup=False,
        highlight=False,
    )
    console.print(
        f"           run {latest.run_id}, page {page.page_of(latest)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    late = hours > LATE_HOURS and not running
    if late:
        console.print(
            f"[red]Overdue:[/]   no night has ended for {escape(_ago(hours))}; is the schedule on?",
            highlight=False,
        )
    for line in history.harm(summary) if summary else ():
        console.print(f"[yellow]Behind:[/]    {escape(line)}", highlight=False, soft_wrap=True)
    if summary:
        _numbers(latest, summary, console)
        _held(summary, console)
    for one in alerts.open_incidents():
        console.print(
            f"[red]Open:[/]      {escape(one['condition'])} since the night of"
            f" {escape(one['since'])}",
            highlight=False,
        )
        console.print(f"           {one['sentence']}", markup=False, highlight=False)
    if summary and (odd := history.unusual(summary, history.nights(before=latest.run_id))):
        for one in odd:
            console.print(f"[yellow]Unusual:[/]   {escape(one.sentence)}", highlight=False)
    for line in coming.lines(business_date("nightly", None)):
        console.print(f"Coming:    {line}", markup=False, highlight=False, soft_wrap=True)
    recent = nights[-14:]
    signs = {0: ".", 1: "E", 2: "h", 3: "p"}
    strip = "".join(signs.get(run.facts()["exit_code"], "?") for run in recent)
    console.print(
        f"Before:    {strip}  last {len(recent)} nights: . done, h held, p partly, E error",
        markup=False,
        highlight=False,
    )
    return 1 if late else recorded["exit_code"]


def health() -> tuple[bool, str]:
    """For a machine that watches: is all well, in one line? Held changes are for a person in the
    morning, not for a restart.
    """
    pause = interventions.current()
    if pause is not None:
        return True, pause.sentence
    nights = [run for run in Run.finished() if run.facts()["verb"] == "nightly"]
    if not nights:
        return True, "no night has run yet"
    recorded = nights[-1].facts()
    hours = (
        datetime.now(UTC) - datetime.fromisoformat(recorded["finished_at"])
    ).total_seconds() / 3600
    if hours > LATE_HOURS and not lock.holder(paths.var() / "night.lock"):
        return False, f"no night has ended for {_ago(hours)}"
    return (
        recorded["exit_code"] != 1,
        f"the night of {recorded['as_of']} ended {_ago(hours)} ago: {recorded['status']}",
    )


def _numbers(run: Run, summary: dict[str, Any], console: Console) -> None:
    numbers = history.measures(summary)
    held = f", {numbers['held']:,.0f} held" if numbers["held"] else ""
    failed = f", {numbers['failed']:,.0f} failed" if numbers["failed"] else ""
    console.print(
        f"Changes:   {numbers['applied']:,.0f} applied{held}{failed}", markup=False, highlight=False
    )
    console.print(
        f"Read back: {history.said_back(summary)}", markup=False, highlight=False, soft_wrap=True
    )
    bad = [
        f"{feed['source']}.{feed['feed']} {feed['status']}"
        for feed in summary["feeds"]
        if feed["status"] in ("refused", "missing")
    ]
    console.print(
        f"Feeds:     {len(summary['feeds'])} expected, "
        + (f"{len(bad)} not taken: {', '.join(bad[:4])}" if bad else "all taken"),
        markup=False,
        highlight=False,
    )
    found = summary["findings"]
    said = ", ".join(
        f"{found[level]:,} {level}" for level in ("critical", "warning", "info") if found.get(level)
    )
    _, seen = acknowledged.apart(findings.read(run))
    known = f", {len(seen):,} of them acknowledged" if seen else ""
    console.print(f"Findings:  {said or 'none'}{known}", markup=False, highlight=False)


def _held(summary: dict[str, Any], console: Console) -> None:
    holds = [
        f"{target['target']} {target['entity']}: {hold}"
        for target in summary["targets"]
        for hold in target.get("holds", [])
    ]
    for hold in holds[:SHOWN_HOLDS]:
        console.print(f"[yellow]Held:[/]      {escape(hold)}", highlight=False)
    if holds:
        more = f"{len(holds) - SHOWN_HOLDS} more; " if len(holds) > SHOWN_HOLDS else ""
        console.print(
            f'           {more}"make show STATUS=held" lists them, "make release" lets them go',
            markup=False,
            highlight=False,
        )


def _under_way(run: Run | None, last: Run | None) -> str:
    """`: build, 3 steps done, about 2 min to go`, by what the night before took; '' when the run
    does not say.
    """
    facts = run.facts() if run else {}
    if facts.get("finished_at") or not facts.get("running"):
        return ""
    steps = len(facts["steps"])
    told = f": {facts['running']}, {steps} {'step' if steps == 1 else 'steps'} done"
    left = history.seconds_left(facts, last.facts() if last else {})
    return told if left is None else f"{told}, about {max(1, round(left / 60))} min to go"


def _ago(hours: float) -> str:
    count, unit = (
        (hours * 60, "minute")
        if hours < 2
        else (hours, "hour")
        if hours < 48
        else (hours / 24, "day")
    )
    return f"{count:.0f} {unit}" + ("" if round(count) == 1 else "s")
