# shellcheck shell=bash
# For a build.sh with a module for each program, as each pins a k8s.io and a controller-runtime of its own. Needs $out.
export CGO_ENABLED=0 GOGC=400

version() { # FOLDER MODULE
  (cd "$1" && go list -m -f '{{.Version}}' "$2")
}

compile() { # FOLDER PROGRAM PACKAGE [VARIABLE=VERSION]
  (cd "$1" && go build -mod=readonly -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
    -ldflags "-s -w ${4:+-X $4}" -o "$out/$2" "$3")
}

manifests() { # FOLDER MODULE PATTERNS...: they come with the module; copied, so that runs need neither Go nor its cache
  local module
  module=$(cd "$1" && go list -m -f '{{.Dir}}' "$2")
  (cd "$module" && install -D -m 644 -t "$out/manifests/$1" ${*:3})
}
