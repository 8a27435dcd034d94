#!/usr/bin/env bash
# Build the Pulumi command line, its Python language host and the Kubernetes provider: build.sh OUTPUT_DIR
# Three modules, because they need versions of grpc, k8s.io and Pulumi's own SDK that cannot be had together.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
export CGO_ENABLED=0 GOGC=400

compile() { # MODULE VARIABLE=VERSION PACKAGE
  (cd "$1" && go build -mod=readonly -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags "-s -w -X $2" -o "$out/" "$3")
}

compile langhost github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.68.0 \
  github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python
compile provider github.com/pulumi/pulumi-kubernetes/provider/v2/pkg/version.Version=2.0.0 \
  github.com/pulumi/pulumi-kubernetes/provider/v2/cmd/pulumi-resource-kubernetes
compile cli github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0 \
  github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

# The script that the language host runs programs with: the newer one, out of the command line's own dependency.
sdk=$(cd cli && go list -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)
install -m 755 "$sdk/python/cmd/pulumi-language-python-exec" "$out/"
