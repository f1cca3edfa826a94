#!/usr/bin/env bash
# Proves rotations on the real gateway: a kind cluster with the real charts and
# images, four workers, and an etcd whose watch of one worker can be silenced.
#
#   APISIX=3.18.0 .github/kind/proof.sh      or: make kind-proof APISIX=3.16.0
#
# It needs docker, kind, kubectl, go and openssl, on Linux: ztplan dials the node
# port on the node's address. It makes the cluster ztplan-proof, refuses to begin
# if there is one, and deletes it at its end; KEEP=1 leaves it. Reports of every
# run are in the directory REPORTS, by default kind-report.
set -euo pipefail
shopt -s inherit_errexit

APISIX=${APISIX:-3.18.0}
REPORTS=${REPORTS:-kind-report}
CLUSTER=ztplan-proof
HOST=hello.example.local
HANDSHAKES=200 # one stale worker of four is missed by all of them with 1e-25
TRIES=8        # a watch may be that of the privileged agent, which serves nobody

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'kind-proof: %s\n' "$*" >&2
  exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case $APISIX in
3.16.0 | 3.18.0) ;;
*) die "APISIX=$APISIX: want 3.16.0, which can lose an update for good, or 3.18.0, which cannot" ;;
esac
for tool in docker kind kubectl go openssl; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done
[[ $(uname -s) == Linux ]] || die "the addresses of the node can be reached on Linux only"
clusters=$(kind get clusters)
if grep -qx "$CLUSTER" <<<"$clusters"; then
  die "there is a cluster $CLUSTER already: kind delete cluster --name $CLUSTER"
fi
mkdir -p "$REPORTS"
REPORTS=$(cd "$REPORTS" && pwd)
work=$(mktemp -d)
export KUBECONFIG=$work/kubeconfig XDG_STATE_HOME=$work/state

finish() {
  local status=$?
  trap - EXIT
  if ((status != 0)); then
    say "failed: the state of the cluster is in $REPORTS"
    kubectl get pods --all-namespaces -o wide >"$REPORTS/pods.txt" 2>&1 || true
    kubectl get events --all-namespaces >"$REPORTS/events.txt" 2>&1 || true
    kubectl -n ingress-apisix logs deployment/apisix --tail=500 >"$REPORTS/apisix.log" 2>&1 || true
    kubectl -n ingress-apisix logs deployment/etcd-proxy >"$REPORTS/etcd-proxy.log" 2>&1 || true
  fi
  if [[ -n ${KEEP:-} ]]; then
    echo "kept: KUBECONFIG=$KUBECONFIG; kind delete cluster --name $CLUSTER; rm -r $work"
  else
    kind delete cluster --name "$CLUSTER" || status=1
    rm -rf "$work"
  fi
  exit "$status"
}
trap finish EXIT

# ztplan NAME WANT ARGS…: runs it, keeps what it says as NAME, and ends the script
# if it does not exit with WANT.
ztplan() {
  local name=$1 want=$2 code=0
  shift 2
  "$work/ztplan" "$@" --no-color >"$REPORTS/$name.txt" 2>&1 || code=$?
  if ((code != want)); then
    cat "$REPORTS/$name.txt" >&2
    die "$name: ztplan exits with $code instead of $want"
  fi
}

# said NAME PATTERN: ends the script unless the run NAME said so.
said() {
  grep -Eq -- "$2" "$REPORTS/$1.txt" && return
  cat "$REPORTS/$1.txt" >&2
  die "$1: nothing that ztplan said matches: $2"
}

# prove NAME WANT PLAN ARGS…: a run of a plan of this directory, with a report.
prove() {
  local name=$1 want=$2 plan=$3
  shift 3
  ztplan "$name" "$want" run "$work/.github/kind/$plan.yaml" --var "trust=$work/root.pem" --report "$REPORTS/$name" "$@"
}

# serial: the serial number of the certificate in the Secret.
serial() {
  kubectl -n ingress-apisix get secret hello-tls -o 'jsonpath={.data.tls\.crt}' | base64 -d | openssl x509 -noout -serial
}

# stale: how many of HANDSHAKES new connections show another certificate than the
# Secret's.
stale() {
  local want shown count=0
  want=$(serial)
  for ((i = 0; i < HANDSHAKES; i++)); do
    shown=$(openssl s_client -connect 127.0.0.1:30443 -servername "$HOST" </dev/null 2>/dev/null | openssl x509 -noout -serial) ||
      die "handshake $i of $HANDSHAKES failed"
    [[ $shown == "$want" ]] || count=$((count + 1))
  done
  echo "$count"
}

watches() { kubectl -n ingress-apisix exec deployment/etcd-proxy -- /watchproxy "$1"; }

# field NAME: a number of the proxy's status.
field() {
  local status
  status=$(watches status)
  [[ $status =~ (^|[[:space:]])$1=([0-9]+) ]] || die "the proxy says: $status"
  echo "${BASH_REMATCH[2]}"
}

# until_at_least and until_zero wait, two minutes at most, for a number of the
# proxy's status.
until_at_least() {
  local deadline=$((SECONDS + 120)) have
  for (( ; ; )); do
    have=$(field "$1")
    ((have >= $2)) && return
    ((SECONDS < deadline)) || die "the proxy's $1 is $have after two minutes, want $2"
    sleep 0.5
  done
}
until_zero() {
  local deadline=$((SECONDS + 120)) have
  for (( ; ; )); do
    have=$(field "$1")
    ((have == 0)) && return
    ((SECONDS < deadline)) || die "the proxy's $1 is $have after two minutes, want 0"
    sleep 0.5
  done
}

restart_gateway() {
  kubectl -n ingress-apisix rollout restart deployment/apisix
  kubectl -n ingress-apisix rollout status deployment/apisix --timeout=5m
  # The old pod goes on for the 30 seconds of its preStop.
  local deadline=$((SECONDS + 180)) pods
  for (( ; ; )); do
    pods=$(kubectl -n ingress-apisix get pods -l app.kubernetes.io/name=apisix,app.kubernetes.io/instance=apisix -o name | wc -l)
    ((pods == 1)) && return
    ((SECONDS < deadline)) || die "the gateway has $pods pods three minutes after its restart, want 1"
    sleep 1
  done
}

say "building ztplan and the proxy before etcd"
(cd "$root" && CGO_ENABLED=0 go build -o "$work/ztplan" ./cmd/ztplan)
arch=$(docker version --format '{{.Server.Arch}}')
mkdir "$work/image"
(cd "$root" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -o "$work/image/watchproxy" ./cmd/ztplan/e2e/watchproxy)
docker build --tag ztplan.invalid/watchproxy:kind --file "$root/.github/kind/Dockerfile" "$work/image"
# The keys of this cluster's Vault are written beside the plan: beside a copy.
mkdir "$work/.github"
cp -R "$root/plans" "$work/plans"
cp -R "$root/.github/kind" "$work/.github/kind"
rm -f "$work/plans/vault-cluster-keys.json"
lab=("$work/plans/lab.yaml" --var-file "$root/.github/kind/vars-$APISIX.yaml")

say "a cluster, and the proxy in it"
kind create cluster --name "$CLUSTER" --config "$root/.github/kind/cluster.yaml" --wait 3m
kind load docker-image ztplan.invalid/watchproxy:kind --name "$CLUSTER"
kubectl apply -f "$root/.github/kind/etcd-proxy.yaml"
kubectl -n ingress-apisix rollout status deployment/etcd-proxy --timeout=2m

say "plans/lab.yaml with APISIX $APISIX, twice"
ztplan lab-first 0 run "${lab[@]}" --report "$REPORTS/lab-first"
tail -n 2 "$REPORTS/lab-first.txt"
# A proof that asks for a renewal changes something in every run.
ztplan lab-second 0 run "${lab[@]}" --skip rotation,site-after,denials --output json
edits=$(grep '"summary"' "$REPORTS/lab-second.txt" | tail -n 1 | grep -Eo '"edits":[0-9]+') ||
  die "the second run has no summary: $REPORTS/lab-second.txt"
[[ $edits == '"edits":0' ]] || die "the second run made $edits, want none: $REPORTS/lab-second.txt"
kubectl -n ingress-apisix get secret hello-tls -o 'jsonpath={.data.ca\.crt}' | base64 -d >"$work/root.pem"

say "four workers, one of them with a silent watch"
workers=$(kubectl -n ingress-apisix exec deployment/apisix -c apisix -- sh -c 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n"' | grep -c 'nginx: worker process') || workers=0
((workers == 4)) || die "the gateway has $workers workers, want 4"
prove quiet 0 proof
bad=0
for ((try = 1; try <= TRIES; try++)); do
  watches silence
  code=0
  "$work/ztplan" run "$work/.github/kind/proof.yaml" --no-color --var "trust=$work/root.pem" --var maxSwitch=10s \
    --report "$REPORTS/silenced" >"$REPORTS/silenced.txt" 2>&1 || code=$?
  bad=$(stale)
  strays=$(field strays)
  echo "try $try: ztplan exits with $code; $bad of $HANDSHAKES handshakes show an old certificate"
  if ((bad > 0)); then
    break
  fi
  if ((code != 0)); then
    cat "$REPORTS/silenced.txt" >&2
    die "nothing was wrong with the gateway, and the proof failed"
  fi
  ((strays == 0)) || echo "$strays watches ended beside the silenced one"
  watches thaw
  until_zero silenced
done
((bad > 0)) || die "in $TRIES tries no silenced watch was that of a worker"
((code != 0)) || die "A FALSE PROOF: ztplan said proved while $bad of $HANDSHAKES handshakes showed an old certificate"
((code == 1)) || die "ztplan exits with $code instead of 1"
said silenced 'every address serves the certificate of the Secret|the switch takes at most'

say "the watch is silent for more than two time-outs, then it lives"
# The first return opens a watch after the update, the second one means that it
# has timed out, too; one more is for a return before this line.
returned=$(field returned)
until_at_least returned $((returned + 3))
watches thaw
until_zero silenced
sleep 7 # a watch_timeout: what is only late has come
bad=$(stale)
case $APISIX in
3.16.0)
  ((bad > 0)) || die "APISIX 3.16.0 has caught up: it was to lose the update (apache/apisix#13067)"
  echo "lost for good: $bad of $HANDSHAKES handshakes"
  prove lost 1 proof
  said lost 'the wire shows the certificate of secret ingress-apisix/hello-tls'
  restart_gateway
  ;;
3.18.0)
  ((bad == 0)) || die "APISIX 3.18.0 still shows an old certificate in $bad of $HANDSHAKES handshakes"
  ;;
esac
prove cured 0 proof

say "two ApisixTls for one host, across a restart of the gateway"
kubectl delete validatingwebhookconfiguration apisix-ingress-controller-webhook
kubectl apply -f "$root/.github/kind/second-tls.yaml"
kubectl -n default wait --for=condition=Ready certificate/second-cert --timeout=2m
prove two-before 1 proof
said two-before 'default/second-tls'
restart_gateway
prove two-after 1 proof
said two-after 'default/second-tls'
kubectl delete -f "$root/.github/kind/second-tls.yaml"
restart_gateway
prove one-again 0 proof

say "a rotation while the gateway restarts, with a preStop of 30 seconds"
prove restart-strict 1 restart --var maxLost=0
said restart-strict 'connections opened before keep answering'
prove restart 0 restart --var maxLost=100

say "APISIX $APISIX: all as it should be; reports in $REPORTS"
