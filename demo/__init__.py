"""A synthetic district and the platforms it talks to, for `make demo` and the tests. No real person
is in it.
"""
