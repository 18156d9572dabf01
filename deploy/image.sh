#!/bin/sh
# What the container file does to make an image out of a checkout: an environment with the locked packages, the commit
# written down, and nothing else.
# Usage: image.sh CHECKOUT [COMMIT]
set -eu
cd "$1"
if [ -n "${2:-}" ]; then echo "$2" > common/commit.txt; fi
python3 -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
# compiled here, once: the user of the nights may write nothing, and would compile all of it in every process
.venv/bin/python -m compileall -q common ingestion operations reverse_etl
# whoever built it, the user of the nights reads it, and writes nothing of it
chmod -R go+rX,go-w .
.venv/bin/python -m operations --help > /dev/null
