#!/usr/bin/env bash
# Build the controllers of ML systems that every run of the tests needs, and lay their CRDs and webhooks beside them: build.sh OUTPUT_DIR
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./functions.sh

jobset=sigs.k8s.io/jobset
compile jobset jobset-manager $jobset $jobset/pkg/version.GitVersion="$(version jobset $jobset)"
manifests jobset $jobset config/components/{crd/bases/*,webhook/manifests}.yaml

# Kueue's and JobSet's k8s.io are the same, so most of this is in the build cache already.
kueue=sigs.k8s.io/kueue
compile kueue kueue-manager $kueue/cmd/kueue $kueue/pkg/version.GitVersion="$(version kueue $kueue)"
manifests kueue $kueue config/components/{crd/bases/*,webhook/manifests}.yaml

training=github.com/kubeflow/training-operator
compile training-operator training-operator $training/cmd/training-operator.v1
manifests training-operator $training manifests/base/{crds/kubeflow.org_*,webhook/manifests}.yaml

argo=github.com/argoproj/argo-workflows/v3
compile argo workflow-controller $argo/cmd/workflow-controller $argo.version="$(version argo $argo)"
manifests argo $argo manifests/base/crds/minimal/argoproj.io_*.yaml
