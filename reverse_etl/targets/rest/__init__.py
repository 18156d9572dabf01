"""`kind = "rest"`: any JSON API, by configuration alone (docs/add-a-target.md)."""

from reverse_etl.targets.rest.target import Rest

__all__ = ["Rest"]
