#!/usr/bin/env bash
# Builds the documentation site into target/site, from scratch: that takes seconds, and
# nothing of an earlier build can hide a mistake. A warning is an error.
source "$(dirname "$0")/common.sh"

site=target/site
rm -rf "$site"
"$VENV/bin/sphinx-build" --builder html --fail-on-warning --keep-going --quiet \
    --jobs auto --doctree-dir target/site-doctrees --fresh-env docs "$site"
"$VENV/bin/python" scripts/check_site.py "$site"
