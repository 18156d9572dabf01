"""The night and what people see of it: the chain of verbs, the build, the published copy, the
report, the audit.
"""
