"""`kind = "sql"`: a table of a database, by configuration alone (docs/add-a-target.md)."""

from reverse_etl.targets.sql.target import Sql

__all__ = ["Sql"]
