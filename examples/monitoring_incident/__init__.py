"""Alerts become tickets: one for each cause, opened once and closed once."""
