"""Report: close the run, fill the audit tables, publish the copy people query, and tell a person
what happened.

In: the run's documents (`run.json`, `feeds.json`, `plan.json`, `outcome.json`, `verify.json`,
`findings.jsonl`). Out: `summary.json`, rows in `audit.runs` and `audit.findings`, the published
warehouse, the page and the terminal report.

Alone: `python -m operations report`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from common import access, findings, settings, store, versions
from common.log import event
from common.printable import lines
from common.runs import BY_NIGHT, Run
from common.terminal import Terminal
from common.words import words
from operations import history, interventions, metrics, page, preflight, repeats, series
from operations.closing import place_of
from operations.publish import documents, publish
from reverse_etl.serve import copy

SHOWN_FINDINGS = 12
FINDING = (
    "code",
    "values",
    "source",
    "feed",
    "target",
    "entity",
    findings.PARTITION,
    "key",
    "file",
    "line",
    "column",
    "owner",
)


def close(run: Run, exit_code: int) -> dict[str, Any]:
    """Finish the run; returns its summary, which stands in `summary.json` from now on."""
    run.finish(exit_code)
    summary = summarise(run)
    run.write("summary.json", summary)
    return summary


def remember() -> None:
    """Bring every closed run and every intervention into the audit tables that are not
    there yet.
    """
    with store.connect() as connection:
        interventions.load(connection)
        known = {
            row[0] for row in connection.execute("select run_id from ledger.audit.runs").fetchall()
        }
        for finished in Run.finished():  # also those that were killed before they could report
            if finished.run_id not in known:
                _load(connection, finished)


def summarise(run: Run) -> dict[str, Any]:
    """The run in one document, put together from what each step wrote."""
    facts = run.facts()
    outcome, verified = run.read("outcome.json", {}), run.read("verify.json", {})
    targets = []
    for export in run.read("plan.json", {"exports": []})["exports"]:
        target, entity = export["target"], export["entity"]
        done = outcome.get(target, {}).get(entity, {})
        left = verified.get(target, {}).get(entity, {})
        targets.append(
            {
                "target": target,
                "entity": entity,
                "desired": export["desired"],
                "observed": export["observed"],
                "planned": export["planned"],
                "applied": done.get("applied", 0),
                "held": sum(export["held"].values()),
                "failed": done.get("failed", 0),
                "skipped": done.get("skipped", 0),
                "write_calls": done.get("write_calls", 0),
                "read_calls": done.get("read_calls", 0),
                "converged": left.get("converged"),
                **{name: left.get(name) for name in history.READ_BACK},
                "waiting_for": left.get("waiting_for", {}),
                "subjects": left.get("subjects", {}),
                "accounts": left.get("accounts", False),
                "holds": export.get("holds", []),
            }
        )
    observed = run.read("observed.json", {})
    calls = {
        target: {
            "write_calls": outcome.get(target, {}).get("write_calls", 0),
            "read_calls": (
                outcome.get(target, {}).get("read_calls", 0)
                + observed.get(target, {}).get("read_calls", 0)
            ),
        }
        for target in sorted({*outcome, *observed})
    }
    return {
        "run_id": run.run_id,
        "verb": facts["verb"],
        "part": run.part,
        "started_at": facts["started_at"],
        "finished_at": facts["finished_at"],
        "as_of": facts["as_of"],
        "status": facts["status"],
        "exit_code": facts["exit_code"],
        "git_commit": facts["git_commit"],
        "steps": [
            {key: step.get(key) for key in ("name", "seconds", "status", "peak_megabytes")}
            for step in facts["steps"]
        ],
        "feeds": [
            {
                key: feed.get(key)
                for key in ("source", "feed", "status", "rows_in", "landed", "rejected", "age_days")
            }
            for feed in run.read("feeds.json", [])
        ],
        "targets": targets,
        "calls": calls,
        "findings": dict(Counter(finding["level"] for finding in findings.read(run))),
    }


def _load(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    summary = summarise(run)
    rows = [
        [
            hashlib.sha256(f"{run.run_id}|{number}".encode()).hexdigest()[:16],
            run.run_id,
            finding["found_at"],
            *(_stored(finding[name]) for name in FINDING),
        ]
        for number, finding in enumerate(findings.read(run))
    ]
    connection.execute("begin")
    connection.execute(
        "insert into ledger.audit.runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            run.run_id,
            summary["started_at"],
            summary["finished_at"],
            summary["as_of"],
            summary["status"],
            summary["exit_code"],
            summary["git_commit"],
            versions.PROGRAM,
            json.dumps(summary["steps"]),
        ],
    )
    if rows:
        connection.executemany(
            f"insert into ledger.audit.findings values ({', '.join('?' * (3 + len(FINDING)))})",
            rows,
        )
    connection.execute("commit")


def _stored(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def report(run: Run, exit_code: int, console: Console | None = None) -> int:
    """Close the run, publish, and print. Each part is made whatever became of the others; one that
    breaks is a finding and makes an error of the run: 1, else 0.
    """
    broke = 0
    findings.notice(run)
    close(run, exit_code)
    console = console or Terminal()
    published: list[str] = []
    if run.part and not series.note(run, summarise(run)):  # as the one before: a line of the series
        page.write_index()
        show(run, summarise(run), console)
        let_read()
        return 0
    made: dict[str, Callable[[], object]] = {
        "the published copy": lambda: published.append(_published(run)),
        "the page": lambda: published.append(
            f"The page: {page.write(run, _again(run, exit_code))}"
        ),
        "the numbers": lambda: (
            metrics.write(_again(run, exit_code))
            if not run.part and (run.is_nights or Run.latest_night() is None)
            else None
        ),
        "the report": lambda: show(run, _again(run, exit_code), console),
    }
    for part, make in made.items():
        try:
            make()
        except Exception as error:
            event("report_part_broke", part=part, error=place_of(error))
            exit_code = broke = 1
            broken = {"part": part, "error": place_of(error)}
            findings.record(run, [findings.Finding("report_incomplete", broken)])
    if findings.notice(run) or exit_code != run.facts()["exit_code"]:
        close(run, exit_code)
    let_read()
    console.print(f"[dim]{escape(' '.join(published))}[/]")
    return broke


def _again(run: Run, exit_code: int) -> dict[str, Any]:
    """The summary with all that is known by now."""
    return close(run, exit_code) if findings.notice(run) else summarise(run)


def _published(run: Run) -> str:
    """Fill the audit tables and publish; a sentence of what came of it, and a finding where the
    night could not.
    """
    try:
        if preflight.is_full():  # what is left is for the page and the alerts
            raise OSError(errno.ENOSPC, "the disk is full")
        remember()
        published = publish()
        copy.renew()
        return (
            f'{published} tables published for reading; "make audit" lists what you can ask them.'
        )
    except (
        store.StoreError,
        duckdb.Error,
        OSError,
    ) as error:  # the night must be told of even then; the next one catches up
        reason = (
            str(error)
            if isinstance(error, store.StoreError)
            else getattr(error, "strerror", None) or type(error).__name__
        )
        known = {one["code"] for one in findings.read(run)} & {
            "warehouse_locked",
            "disk_full",
            "disk_filled",
        }  # which says it already: one trouble, one alarm
        found = findings.Finding(
            "not_published_either" if known else "not_published", {"why": reason}
        )
        findings.record(run, [found])
        run.write("summary.json", summarise(run))
        return found.message


def let_read() -> None:
    """Put out what is made to be read, and let its readers in; what hinders that is said here and
    by `make check`, and hinders nothing else.
    """
    try:
        documents()
        access.share()
    except (settings.SettingsError, OSError, UnicodeDecodeError) as error:
        print(f"access: {error}", file=sys.stderr)


def show(run: Run, summary: dict[str, Any], console: Console) -> None:
    """The report a person reads at 7 am: one line, the feeds, the targets, what needs a human."""
    console.print()
    ended = SAID.get(page.headline(summary), HEADLINE[summary["exit_code"]])
    if summary["exit_code"] == 0 and history.read_back(summary) is None:
        ended = "[green]done[/], no target was read back"
    what = "Night" if summary["verb"] in BY_NIGHT else f"By hand ({summary['verb']}), day"
    what = f"Run of {run.part}, day" if run.part else what
    console.rule(Text(lines(f"{what} of {summary['as_of']}: ")) + Text.from_markup(ended))
    code = summary["git_commit"][:9] or "unknown"
    console.print(f"run {run.run_id}, code {code}", markup=False, style="dim")
    for line in history.harm(summary)[: page.SHOWN_HARMS]:
        console.print(line, markup=False, highlight=False, style="bold")
    console.print(_steps(summary), markup=False)
    feeds = [
        feed
        for feed in summary["feeds"]
        if feed["status"] not in ("loaded", "unchanged") or feed["rejected"]
    ]
    good = Counter(feed["status"] for feed in summary["feeds"])
    if summary["feeds"]:
        resting = f"{good['resting']} resting, " if good["resting"] else ""
        console.print(
            f"Feeds: {good['loaded']} loaded, {good['unchanged']} unchanged,"
            f" {resting}{good['refused']} refused, {good['missing']} missing",
            markup=False,
        )
    for feed in run.read("feeds.json", []):
        if feed.get("age_days") and (feed["status"] in ("refused", "missing") or feed.get("hold")):
            said = words()
            days = f"{feed['age_days']} {said.night if feed['age_days'] == 1 else said.nights}"
            console.print(
                f"  {feed['source']}.{feed['feed']}: what is in force is {days} old",
                markup=False,
                highlight=False,
            )
    for feed in feeds:
        console.print(
            f"  [bold]{escape(feed['source'])}.{escape(feed['feed'])}[/] {escape(feed['status'])}:"
            f" {feed['landed'] or 0:,} landed, {feed['rejected'] or 0:,} rejected"
        )
    if summary["targets"]:
        console.print(_targets(summary))
        console.print(f"Read back: {history.said_back(summary)}", markup=False, highlight=False)
    for target in summary["targets"]:
        for hold in target["holds"]:
            what = f"{target['target']} {target['entity']}: {hold}"
            console.print(f"  [yellow]held[/] {escape(what)}")
    _print_findings(run, console)


SAID = {
    page.EQUAL: "[green]done[/], every target equals its export tables",
    page.NOT_BEGUN: "[red]not begun[/], nothing was read and nothing was written",
}
HEADLINE = {
    0: "[green]done[/], what could be written is written",
    2: "[yellow]held[/], some changes wait for a person",
    3: "[yellow]partly failed[/], what could go on went on",
    1: "[red]error[/], see the steps",
    None: "not finished",
}


def _steps(summary: dict[str, Any]) -> str:
    parts = [
        f"{step['name']} {step['seconds']:.0f} s"
        + ("" if step["status"] == "done" else f" ({step['status']})")
        for step in summary["steps"]
    ]
    return "Steps: " + ", ".join(parts)


def _targets(summary: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("target")
    for heading in ("changes", "applied", "held", "failed", "equal", "wait", "differ"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in summary["targets"]:
        numbers = [
            sum(row["planned"].values()),
            row["applied"],
            row["held"],
            row["failed"] + row["skipped"],
        ]
        table.add_row(
            escape(f"{row['target']} {row['entity']}"),
            *(f"{number:,}" if number else "·" for number in numbers),
            *(
                "" if row.get(name) is None else f"{row[name]:,}" if row[name] else "·"
                for name in history.READ_BACK
            ),
        )
    return table


def _print_findings(run: Run, console: Console) -> None:
    found = findings.read(run)
    if not found:
        console.print("Nothing needs a person.")
        return
    order = {"critical": 0, "warning": 1, "info": 2}
    counts = Counter(finding["level"] for finding in found)
    console.print(
        "Findings: " + ", ".join(f"{counts[level]:,} {level}" for level in order if counts[level]),
        markup=False,
    )
    style = {"critical": "red", "warning": "yellow", "info": "dim"}
    found, stand = repeats.apart(run, found)
    first: dict[str, dict[str, Any]] = {}
    per_code = Counter(finding["code"] for finding in found)
    for finding in sorted(found, key=lambda one: order[one["level"]]):
        first.setdefault(finding["code"], finding)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(min_width=10, no_wrap=True)
    rows.add_column()
    worst = sorted(first.items(), key=lambda one: (order[one[1]["level"]], -per_code[one[0]]))
    for code, finding in worst[:SHOWN_FINDINGS]:
        more = f" (and {per_code[code] - 1:,} more of this kind)" if per_code[code] > 1 else ""
        rows.add_row(
            Text(f"  {finding['level']}", style[finding["level"]]),
            Text(lines(finding["message"] + more)),
        )
        if finding["action"]:
            owner = f"{finding['owner']}: " if finding["owner"] else ""
            rows.add_row("", Text(lines(owner + finding["action"]), "dim"))
    for one in stand:
        rows.add_row(Text(f"  {one.level}", style[one.level]), Text(lines(one.sentence)))
    console.print(rows)
    if len(first) > SHOWN_FINDINGS:
        console.print(f"  … and {len(first) - SHOWN_FINDINGS:,} more kinds: see audit.findings")
