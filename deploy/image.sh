#!/bin/sh
# What the container file does to make an image out of a checkout: an environment with the locked packages, and nothing else.
# Usage: image.sh CHECKOUT
set -eu
cd "$1"
python3 -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements.txt
.venv/bin/python -m operations --help > /dev/null
