#!/usr/bin/env bash
# Runs a plan in a job. Its exit status is that of ztplan, which counts only with the
# result that ztplan gives at its end: a program that crashes has a status, too.
#
# ZTPLAN_PLAN, ZTPLAN_REPORT, ZTPLAN_KUBECONFIG, ZTPLAN_CONTEXT
# ZTPLAN_LAB, ZTPLAN_DRY_RUN, ZTPLAN_ALLOW_DIFFERENCES: true or false
# ZTPLAN_ARGS: more arguments, one a line
set -euo pipefail

fail() {
  printf '::error title=ztplan::%s\n' "$1"
  exit 3
}

for name in ZTPLAN_LAB ZTPLAN_DRY_RUN ZTPLAN_ALLOW_DIFFERENCES; do
  case ${!name} in
    true | false) ;;
    *) fail "${name#ZTPLAN_} is neither true nor false" ;;
  esac
done
[[ -n $ZTPLAN_PLAN ]] || fail 'there is no plan'
# Both are written into files of lines, and the report is uploaded by its name.
[[ -n $ZTPLAN_REPORT && $ZTPLAN_REPORT != *$'\n'* ]] || fail 'report is not the name of a directory'

args=(run)
while IFS= read -r line; do
  if [[ -n $line ]]; then args+=("$line"); fi
done <<<"${ZTPLAN_ARGS:-}"
args+=(--output=github "--report=$ZTPLAN_REPORT") # after those, which cannot replace them
if [[ $ZTPLAN_LAB == true ]]; then args+=(--lab); fi
if [[ $ZTPLAN_DRY_RUN == true ]]; then args+=(--dry-run); fi
if [[ -n ${ZTPLAN_KUBECONFIG:-} ]]; then args+=("--kubeconfig=$ZTPLAN_KUBECONFIG"); fi
if [[ -n ${ZTPLAN_CONTEXT:-} ]]; then args+=("--context=$ZTPLAN_CONTEXT"); fi

# "-- PLAN" last, so that no name of a plan is taken for a flag.
status=0
results=$(mktemp)
trap 'rm -f "$results"' EXIT
GITHUB_OUTPUT=$results ztplan "${args[@]}" -- "$ZTPLAN_PLAN" || status=$?
result=$(sed -n 's/^result=//p' "$results")
case $status/$result in
  0/proved | 0/converged | 0/not-run | 2/differs) ;;
  0/* | 2/*)
    printf '::error title=ztplan::%s\n' "ztplan ended with status $status and the result \"$result\": it did not come to its end"
    status=1
    ;;
esac
{
  printf 'result=%s\n' "$result"
  printf 'exit-code=%d\n' "$status"
  printf 'report=%s\n' "$ZTPLAN_REPORT"
} >>"$GITHUB_OUTPUT"

if [[ $status == 2 && $ZTPLAN_DRY_RUN == true && $ZTPLAN_ALLOW_DIFFERENCES == true ]]; then exit 0; fi
exit "$status"
