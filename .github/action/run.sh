#!/usr/bin/env bash
# Runs a plan in a job. Its exit status is that of ztplan.
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

args=(run --output github "--report=$ZTPLAN_REPORT")
if [[ $ZTPLAN_LAB == true ]]; then args+=(--lab); fi
if [[ $ZTPLAN_DRY_RUN == true ]]; then args+=(--dry-run); fi
if [[ -n ${ZTPLAN_KUBECONFIG:-} ]]; then args+=("--kubeconfig=$ZTPLAN_KUBECONFIG"); fi
if [[ -n ${ZTPLAN_CONTEXT:-} ]]; then args+=("--context=$ZTPLAN_CONTEXT"); fi
while IFS= read -r line; do
  if [[ -n $line ]]; then args+=("$line"); fi
done <<<"${ZTPLAN_ARGS:-}"

# "-- PLAN" last, so that no name of a plan is taken for a flag.
status=0
ztplan "${args[@]}" -- "$ZTPLAN_PLAN" || status=$?
{
  printf 'exit-code=%d\n' "$status"
  printf 'report=%s\n' "$ZTPLAN_REPORT"
} >>"$GITHUB_OUTPUT"

if [[ $status == 2 && $ZTPLAN_DRY_RUN == true && $ZTPLAN_ALLOW_DIFFERENCES == true ]]; then exit 0; fi
exit "$status"
