#!/usr/bin/env bash
# Puts ztplan, and ztlab if the lab is asked for, on the PATH of a job.
#
# ZTPLAN_VERSION   vX.Y.Z, latest, source (built with Go from this checkout), or
#                  empty: the ref of the action if that is a version, else latest
# ZTPLAN_RELEASES  where releases are: https, or file and loopback for mirrors
# ZTPLAN_LAB       true or false
# ZTPLAN_SOURCE    this checkout; GitHub names its folder after the ref
# RUNNER_TEMP, RUNNER_OS, RUNNER_ARCH, GITHUB_PATH: as GitHub sets them
set -euo pipefail

fail() {
  printf '::error title=ztplan::%s\n' "$1"
  exit 1
}

bin=$RUNNER_TEMP/ztplan-bin
mkdir -p "$bin"

version=${ZTPLAN_VERSION:-}
if [[ -z $version ]]; then
  version=latest
  if [[ ${ZTPLAN_SOURCE##*/} =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]]; then version=${ZTPLAN_SOURCE##*/}; fi
fi

from_source() {
  command -v go >/dev/null || fail 'version source needs Go: add a step with actions/setup-go'
  CGO_ENABLED=0 go build -C "$ZTPLAN_SOURCE" -trimpath -ldflags '-s -w' -o "$bin/ztplan" ./cmd/ztplan
  if [[ $ZTPLAN_LAB == true ]]; then make -C "$ZTPLAN_SOURCE" BIN="$bin" ztlab; fi
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

# fetch NAME: download and unpack one program, after its checksum.
fetch() {
  local file=$1_${os}_$arch.tar.gz want got
  want=$(awk -v name="$file" '$2 == name { print $1 }' "$work/checksums.txt")
  [[ $want =~ ^[0-9a-f]{64}$ ]] || fail "$file is not in the checksums of release $version"
  curl "${curl[@]}" --output "$work/$file" "$base/$file"
  got=$(sha256 "$work/$file")
  [[ $got == "$want" ]] || fail "$file has SHA-256 $got, the release says $want: it is not used"
  tar -xzf "$work/$file" -C "$bin" "$1"
}

from_release() {
  case ${RUNNER_OS:-} in
    Linux) os=linux ;;
    macOS) os=darwin ;;
    *) fail "there is no release for ${RUNNER_OS:-an unknown system}: Linux and macOS" ;;
  esac
  case ${RUNNER_ARCH:-} in
    X64) arch=amd64 ;;
    ARM64) arch=arm64 ;;
    *) fail "there is no release for ${RUNNER_ARCH:-an unknown architecture}: X64 and ARM64" ;;
  esac
  case $ZTPLAN_RELEASES in
    https://* | file://* | http://127.0.0.1:*) ;;
    *) fail "releases: $ZTPLAN_RELEASES is not an https URL" ;;
  esac
  case $version in
    latest) base=$ZTPLAN_RELEASES/latest/download ;;
    v[0-9]*) base=$ZTPLAN_RELEASES/download/$version ;;
    *) fail "version: $version is not vX.Y.Z, latest or source" ;;
  esac
  curl=(--fail --silent --show-error --location --proto-redir =https --retry 3)
  work=$(mktemp -d "$RUNNER_TEMP/ztplan-XXXXXX")
  curl "${curl[@]}" --output "$work/checksums.txt" "$base/checksums.txt"
  fetch ztplan
  if [[ $ZTPLAN_LAB == true ]]; then
    [[ $os == linux ]] || fail 'the lab runs on Linux only'
    fetch ztlab
  fi
  rm -rf "$work"
}

if [[ $version == source ]]; then from_source; else from_release; fi
"$bin/ztplan" version
printf '%s\n' "$bin" >>"$GITHUB_PATH"
