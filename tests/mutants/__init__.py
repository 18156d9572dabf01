"""Faults put in on purpose, one at a time, to see which of them the tests notice: `make
mutants`.
"""
