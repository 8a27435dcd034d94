#!/usr/bin/env bash
# Fetch the last Elasticsearch under the Apache licence: build.sh OUTPUT_DIR
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../opensearch/functions.sh

fetch plain org.codelibs elasticsearch-cluster-runner 7.10.2.0
