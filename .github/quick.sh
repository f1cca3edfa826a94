#!/usr/bin/env bash
# Tests what the branch changed: committed, in the work tree, or untracked.
#
#   make quick      or: BASE=<commit> .github/quick.sh [--list]
#
# Changed packages run all their tests on one lab; packages that import one of them
# run those that need no lab (-short). All without the race detector. Tests that
# start labs of their own (the folders e2e) are left to make test. With
# --list it prints the packages and stops.
#
# ZTPLAN_LAB_DIR names a lab that runs already; else one is started and stopped.
# BASE is what to compare with: by default where the branch left the main one.
set -euo pipefail
shopt -s inherit_errexit

die() {
  printf 'quick: %s\n' "$*" >&2
  exit 1
}

root=$(git rev-parse --show-toplevel)
cd "$root"
bin=$root/bin
module=github.com/ztplan/ztplan

if [[ -z ${BASE:-} ]]; then
  for ref in origin/HEAD origin/main main; do
    if git rev-parse -q --verify "$ref^{commit}" >/dev/null; then
      BASE=$ref
      break
    fi
  done
fi
[[ -n ${BASE:-} ]] || die "there is no branch main to compare with: BASE=<commit> make quick"
base=$(git merge-base "$BASE" HEAD) || die "$BASE and HEAD have no common ancestor: BASE=<commit> make quick"
changed=$(git diff --name-only "$base" && git ls-files --others --exclude-standard)
[[ -n $changed ]] || die "nothing differs from $base: make test runs all tests"

# packageOf prints the package that a file belongs to: that of its directory, or of
# the nearest one above. The command line's tests read all that is in no package:
# plans, scripts, the README, the files of CI.
packageOf() {
  local dir=$1
  while dir=$(dirname "$dir") && [[ $dir != . ]]; do
    [[ $dir != plans && $dir != testdata* ]] || break
    if compgen -G "$dir/*.go" >/dev/null; then
      printf './%s\n' "$dir"
      return
    fi
  done
  printf './cmd/ztplan\n'
}

# labPackageOf is the same of a file in the module of the lab. The stubs, modules of
# their own, are tested by the package above them.
labPackageOf() {
  local dir=${1#cmd/ztlab/}
  [[ $dir != stub/* ]] || dir=stub/stub.go
  while dir=$(dirname "$dir") && ! compgen -G "cmd/ztlab/$dir/*.go" >/dev/null; do :; done
  printf './%s\n' "$dir"
}

main=() lab=()
while read -r file; do
  case $file in
  go.mod | go.sum) die "$file changed, which concerns every package: make test" ;;
  cmd/ztlab/*) lab+=("$(labPackageOf "$file")") ;;
  *) main+=("$(packageOf "$file")") ;;
  esac
done <<<"$changed"

# unique prints its arguments, each once.
unique() { (($# == 0)) || printf '%s\n' "$@" | sort -u; }
own=$(unique "${main[@]}" "${lab[@]/#/lab:}" | grep -E '^(\./cmd/ztplan/(fleet/)?e2e|lab:\./e2e)$' || true)
mapfile -t main < <(unique "${main[@]}" | grep -vxE '\./cmd/ztplan/(fleet/)?e2e' || true)
mapfile -t lab < <(unique "${lab[@]}" | grep -vxE './e2e' || true)

# What imports a changed package, in its program or in its tests.
importers=()
if ((${#main[@]})); then
  list=$(go list -f '{{$p := .}}{{range .Imports}}{{$p.ImportPath}} {{.}}{{"\n"}}{{end}}{{range .TestImports}}{{$p.ImportPath}} {{.}}{{"\n"}}{{end}}{{range .XTestImports}}{{$p.ImportPath}} {{.}}{{"\n"}}{{end}}' ./...)
  mapfile -t importers < <(awk -v module="$module" '
    NR == FNR { changed[module substr($1, 2)]; next }
    ($2 in changed) && !($1 in changed) { print "." substr($1, length(module) + 1) }
  ' <(printf '%s\n' "${main[@]}") <(printf '%s\n' "$list") | sort -u | grep -vxE '\./cmd/ztplan/(fleet/)?e2e')
fi

printf 'changed: %s\n' "${main[*]:-none}"
printf 'importers, without a lab: %s\n' "${importers[*]:-none}"
printf 'changed in the lab: %s\n' "${lab[*]:-none}"
[[ -z $own ]] || printf 'left to make test, with labs of their own: %s\n' "$(tr '\n' ' ' <<<"$own")"
if [[ ${1:-} == --list ]]; then
  exit
fi
((${#main[@]} + ${#lab[@]})) || die "nothing else changed: make test"

status=0
if ((${#lab[@]})); then
  make --no-print-directory ztlab
  (cd cmd/ztlab && ZTLAB=$bin/ztlab go test -ldflags=-w -count=1 "${lab[@]}") || status=1
fi
if ((${#importers[@]})); then
  go test -ldflags=-w -short "${importers[@]}" || status=1
fi
if ((${#main[@]})); then
  if [[ -z ${ZTPLAN_LAB_DIR:-} ]] && grep -rqlE 'labtest|vaulttest|ZTPLAN_LAB_DIR|\[lab\]' --include='*_test.go' "${main[@]}"; then
    [[ -x $bin/ztlab ]] || make --no-print-directory ztlab
    export ZTPLAN_LAB_DIR
    ZTPLAN_LAB_DIR=$(mktemp -d)
    trap 'code=$?; "$bin/ztlab" down --lab-dir "$ZTPLAN_LAB_DIR" || code=1; rm -rf "$ZTPLAN_LAB_DIR"; exit $code' EXIT
    "$bin/ztlab" up --lab-dir "$ZTPLAN_LAB_DIR"
  fi
  go test -ldflags=-w "${main[@]}" || status=1
fi
((status == 0)) || die "tests failed; see above"
