"""Metrics: the numbers of a run for a machine that draws curves.

In: the run's summary. Out: `metrics.prom` in the text format Prometheus' node exporter reads from
its textfile folder, and the same numbers as an OTLP request (opentelemetry-proto 1.x,
ExportMetricsServiceRequest in its JSON form), which alerts.py sends to `[metrics]` otlp. Labels are
steps, feeds, targets and entities; nothing of a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import documents, paths, settings
from common.settings import District

Labels = dict[str, str]


@dataclass(frozen=True)
class Gauge:
    """One number now, per set of labels; `unit` as UCUM writes it."""

    name: str
    what: str
    unit: str
    values: tuple[tuple[Labels, float], ...]


def gauges(summary: dict[str, Any]) -> list[Gauge]:
    """What is known of a run, per step, feed and target; a number nobody knows is left out."""

    def gauge(name: str, what: str, unit: str, rows: list[tuple[Labels, float | None]]) -> Gauge:
        return Gauge(
            f"homeroom_{name}",
            what,
            unit,
            tuple((labels, value) for labels, value in rows if value is not None),
        )

    steps = [({"step": step["name"]}, step) for step in summary["steps"]]
    feeds = [({"source": feed["source"], "feed": feed["feed"]}, feed) for feed in summary["feeds"]]
    targets = [
        ({"target": row["target"], "entity": row["entity"]}, row) for row in summary["targets"]
    ]
    ended = summary["finished_at"] and round(
        datetime.fromisoformat(summary["finished_at"]).timestamp()
    )
    every = [
        gauge(
            "night_finished_seconds",
            "When the latest run ended, seconds since 1970.",
            "s",
            [({}, ended or None)],
        ),
        gauge(
            "night_exit_code",
            "0 done, 1 error, 2 held, 3 partly failed.",
            "1",
            [({}, summary["exit_code"])],
        ),
        gauge(
            "step_seconds",
            "How long a step took.",
            "s",
            [(labels, step["seconds"]) for labels, step in steps],
        ),
        gauge(
            "step_peak_megabytes",
            "Most memory a step held.",
            "MBy",
            [(labels, step["peak_megabytes"]) for labels, step in steps],
        ),
        gauge(
            "feed_rows_landed",
            "Rows landed.",
            "1",
            [(labels, feed["landed"]) for labels, feed in feeds],
        ),
        gauge(
            "feed_rows_rejected",
            "Rows rejected.",
            "1",
            [(labels, feed["rejected"]) for labels, feed in feeds],
        ),
        gauge(
            "feed_taken",
            "1 when the feed was loaded or unchanged.",
            "1",
            [(labels, int(feed["status"] in ("loaded", "unchanged"))) for labels, feed in feeds],
        ),
        *(
            gauge(f"target_{name}", what, "1", [(labels, row.get(name)) for labels, row in targets])
            for name, what in (
                ("desired", "Records the export holds."),
                ("applied", "Changes applied."),
                ("held", "Changes held."),
                ("failed", "Changes failed."),
                ("converged", "Share of records read back as desired, held ones left out."),
                ("equal", "Rows read back as their export has them."),
                ("waiting", "Rows that wait, for a person or for another row."),
                ("different", "Rows that differ from their export and wait for nobody."),
            )
        ),
        gauge(
            "target_write_calls",
            "Write calls.",
            "1",
            [
                ({"target": target}, calls["write_calls"])
                for target, calls in summary["calls"].items()
            ],
        ),
        gauge(
            "findings",
            "Findings.",
            "1",
            [
                ({"level": level}, summary["findings"].get(level, 0))
                for level in ("critical", "warning", "info")
            ],
        ),
    ]
    return [one for one in every if one.values]


def write(summary: dict[str, Any]) -> Path:
    """Write `metrics.prom`, whole or not at all."""
    lines = []
    for one in gauges(summary):
        lines += [f"# HELP {one.name} {one.what}", f"# TYPE {one.name} gauge"]
        lines += [f"{one.name}{_labels(labels)} {value:.15g}" for labels, value in one.values]
    path = paths.metrics()
    documents.write_text(path, "\n".join(lines) + "\n")
    return path


def as_otlp(summary: dict[str, Any]) -> dict[str, Any]:
    """The same as an OTLP request: 64-bit numbers are texts, keys in camel case, as JSON has
    protocol buffers.
    """
    at = (
        datetime.fromisoformat(summary["finished_at"])
        if summary["finished_at"]
        else datetime.now(UTC)
    )
    moment = f"{int(at.timestamp())}000000000"

    def point(labels: Labels, value: float) -> dict[str, Any]:
        return {"timeUnixNano": moment, "asDouble": value, "attributes": _attributes(labels)}

    metrics = [
        {
            "name": one.name,
            "description": one.what,
            "unit": one.unit,
            "gauge": {"dataPoints": [point(*each) for each in one.values]},
        }
        for one in gauges(summary)
    ]
    about = {
        "service.name": "homeroom",
        "service.version": summary["git_commit"] or "unknown",
        "district": settings.read(District, "district").number,
    }
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes(about)},
                "scopeMetrics": [{"scope": {"name": "homeroom"}, "metrics": metrics}],
            }
        ]
    }


def _attributes(labels: Labels) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]


def _labels(labels: Labels) -> str:
    """`{step="build"}`, escaped as the text format asks."""
    escaped = (
        f'{name}="' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        for name, value in labels.items()
    )
    return "{" + ",".join(escaped) + "}" if labels else ""
