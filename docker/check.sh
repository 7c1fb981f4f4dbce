#!/bin/sh
# Checks compose file, Helm chart and workflows with the tools of their own projects, without an engine and a cluster.
# The tools are built once, into .pointsman/tools; this takes some minutes.
set -eu
cd "$(dirname "$0")/.."
command -v go >/dev/null 2>&1 || { echo "go was not found: install Go 1.24 or newer" >&2; exit 3; }

tools=$PWD/.pointsman/tools
build() { # build NAME MODULE VERSION
  [ -x "$tools/$3/$1" ] || GOFLAGS=-buildvcs=false GOBIN="$tools/$3" go install "$2@$3"
}
build helm helm.sh/helm/v3/cmd/helm v3.22.0
build kubectl-validate sigs.k8s.io/kubectl-validate v0.0.4
build actionlint github.com/rhysd/actionlint/cmd/actionlint v1.7.7
build cmd github.com/compose-spec/compose-go/v2/cmd v2.9.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# It reads no environment, so variables are left as they are; tests/contract/test_docker.py looks after those.
echo "compose.yaml: schema and references"
(cd docker && "$tools/v2.9.1/cmd" -no-interpolation compose.yaml >"$work/compose.yaml")

echo "workflows"
"$tools/v1.7.7/actionlint" -no-color

chart=docker/helm/pointsman
helm() { "$tools/v3.22.0/helm" "$@"; }
rendered() { # rendered NAME ARGUMENT...: the chart as a cluster would get it, against the schemas of every resource
  echo "chart: $1"
  file=$work/$1.yaml
  shift
  helm template release "$chart" --kube-version 1.30.0 "$@" >"$file"
  "$tools/v0.0.4/kubectl-validate" --version 1.30 --local-crds docker/helm/schemas "$file"
}
helm lint --quiet "$chart"
rendered defaults
rendered everything --set metrics.serviceMonitor=true --set metrics.otlpEndpoint=http://otlp:4318 \
  --set schemaRegistry.url=http://registry:8080/apis/ccompat/v7 --set schemaRegistry.existingSecret=registry \
  --set encryption.existingSecret=pointsman-encryption \
  --set console.oidc.issuer=https://login.example/realm --set console.oidc.clientId=pointsman \
  --set console.oidc.operators='{sdr-leads}' --set archive.enabled=true \
  --set localModelProposal.enabled=true --set localModelProposal.current=current.npz \
  --set console.replicas=2 --set router.initialSavepointPath=s3://b/savepoint-1 \
  --set router.newGuard=true --set mail.allow='{@customer.example}' \
  --set agentOverrides.lead_scoring.canary.replicas=1 --set agentOverrides.lead_scoring.canary.tag=0.2.0
rendered least --set kafka.create=false --set kafka.bootstrap=kafka:9093 --set autoscaling.enabled=false \
  --set connect.enabled=false --set networkPolicy.enabled=false
# Values that the schema must refuse.
for wrong in router.parallelism=17 mail.security=maybe nonsense=1 agentOverrides.Bad-Name.minReplicas=1 \
  console.oidc.scope=profile; do
  if helm template release "$chart" --kube-version 1.30.0 --set "$wrong" >/dev/null 2>&1; then
    echo "the chart takes $wrong" >&2
    exit 1
  fi
done
echo "all is well"
