"""Hand-made nights for what looks back on them: the page, the alerts, the status. Nothing is run,
only written down.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from common import findings, paths, problems
from common.runs import STATUS, Run
from operations import report


def feed(
    name: str = "student_demographics",
    status: str = "loaded",
    rows: int = 5000,
    rejected: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """One entry of feeds.json."""
    return {
        "source": "myedbc",
        "feed": name,
        "status": status,
        "rows_in": rows,
        "landed": rows - rejected,
        "rejected": rejected,
        "file": f"{name}.csv",
        "message": more.pop("message", ""),
        "age_days": 0,
        "hold": "",
        "held_partitions": [],
    } | more


def finding(
    level: str = "warning",
    code: str = "student_without_address",
    message: str = "A student has no address.",
    **more: Any,
) -> findings.Finding:
    """One finding with an owner and something to do, and the words of a test for its code."""
    owner, action = more.pop("owner", "school office"), more.pop("action", "Enter it in MyEdBC.")
    cast(dict, problems.catalogue())[code] = problems.Problem(code, level, owner, "{said}", "{do}")
    return findings.Finding(code, {"said": message, "do": action}, owner=owner, **more)


def of_code(code: str, **columns: Any) -> findings.Finding:
    """A finding of the catalogue, whatever it says."""
    values = dict.fromkeys(problems.problem(code).places() - {"within"}, "said")
    return findings.Finding(code, values, **columns)


def night(
    number: int,
    exit_code: int = 0,
    found: tuple[findings.Finding, ...] = (),
    applied: int = 40,
    held: int = 0,
    build_seconds: float = 42.0,
    feeds: list[dict[str, Any]] | None = None,
    verb: str = "nightly",
) -> tuple[Run, dict[str, Any]]:
    """Write the documents of the night `number` days after 2026-10-01 and return the run with its
    summary.
    """
    started = datetime(2026, 10, 1, 9, tzinfo=UTC) + timedelta(days=number)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{number:04x}"
    folder = paths.runs() / run_id
    folder.mkdir(parents=True)
    run = Run(run_id, folder, started.date(), started)
    steps = [
        {
            "name": name,
            "started_at": started.isoformat(),
            "seconds": seconds,
            "status": "done",
            "exit_code": 0,
            "note": "",
            "peak_megabytes": 200,
        }
        for name, seconds in (("ingest", 8.0), ("build", build_seconds), ("push", 60.0))
    ]
    if exit_code == 1:
        steps[-1] |= {"status": "failed", "exit_code": 1}
    run.write(
        "run.json",
        {
            "run_id": run_id,
            "verb": verb,
            "started_at": started.isoformat(),
            "finished_at": (started + timedelta(minutes=3)).isoformat(),
            "as_of": run.as_of.isoformat(),
            "git_commit": "0123456789abcdef",
            "pid": 1,
            "status": STATUS[exit_code],
            "exit_code": exit_code,
            "steps": steps,
        },
    )
    run.write("feeds.json", [feed()] if feeds is None else feeds)
    run.write(
        "plan.json",
        {
            "exports": [
                {
                    "target": "google",
                    "entity": "users",
                    "desired": 5000,
                    "observed": 4990,
                    "planned": {"create": applied + held},
                    "held": {"create": held} if held else {},
                    "holds": ["Over the limit of 10 %."] if held else [],
                }
            ]
        },
    )
    run.write(
        "outcome.json",
        {
            "google": {
                "write_calls": applied,
                "read_calls": 12,
                "users": {"applied": applied, "write_calls": applied, "read_calls": 12},
            }
        },
    )
    run.write(
        "verify.json",
        {
            "google": {
                "users": {
                    "desired": 5000,
                    "observed": 5000,
                    "residual": {},
                    "converged": 1.0 if exit_code == 0 else 0.98,
                    "equal": 5000 - held - (0 if exit_code == 0 else 100),
                    "waiting": held,
                    "different": 0 if exit_code == 0 else 100,
                    "waiting_for": {"limit": held} if held else {},
                }
            }
        },
    )
    findings.record(run, found)
    summary = report.summarise(run)
    run.write("summary.json", summary)
    return run, json.loads(json.dumps(summary))
