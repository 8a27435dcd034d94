#!/usr/bin/env bash
# Build Prometheus 3 and its promtool: build.sh OUTPUT_DIR. Without service discovery, which brings the SDKs of all clouds; without web pages.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
export CGO_ENABLED=0 GOGC=400

version=$(go list -m -f '{{.Version}}' github.com/prometheus/prometheus)
minor=${version#v0.} # v0.316.0 of the module is 3.16.0 of the program
# promtool first: where prometheus is, all is.
for program in promtool prometheus; do
  go build -mod=readonly -tags remove_all_sd -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=${minor:0:1}.${minor:1}" -o "$out/" github.com/prometheus/prometheus/cmd/$program
done
