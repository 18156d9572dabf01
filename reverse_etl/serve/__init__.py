"""Serve: what was last delivered, for systems that fetch it themselves.

`settings` says who may read, `copy` makes the file that is read, `rosters` holds it, `query` knows
the parameters of a list, `app` is the service of OneRoster 1.1 and 1.2, `server` runs it.
"""
