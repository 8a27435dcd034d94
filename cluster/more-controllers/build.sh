#!/usr/bin/env bash
# Build the controllers of ML systems that only a release is tested with, and lay their CRDs and settings beside them: build.sh OUTPUT_DIR
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../controllers/functions.sh

tekton=github.com/tektoncd/pipeline
compile tekton tekton-controller $tekton/cmd/controller
manifests tekton $tekton config/{300-crds/*,config-*}.yaml

kuberay=github.com/ray-project/kuberay/ray-operator
compile kuberay ray-operator $kuberay
manifests kuberay $kuberay config/crd/bases/*.yaml

trainer=github.com/kubeflow/trainer/v2
compile trainer trainer-controller-manager $trainer/cmd/trainer-controller-manager
manifests trainer $trainer manifests/base/{crds/trainer.kubeflow.org_*,webhook/manifests}.yaml
