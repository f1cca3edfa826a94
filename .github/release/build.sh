#!/usr/bin/env bash
# Builds what a release publishes: build.sh DIR [PROGRAM...]
#
# For ztplan (linux and darwin) and ztlab (linux), each on amd64 and arm64, an
# archive PROGRAM_OS_ARCH.tar.gz in DIR; with ztplan the JSON Schemas, in its
# archives and by themselves, for editors; then SBOMs, unless SBOM=no, and
# checksums.txt with the SHA-256 of everything. Names hold no version, so that
# "releases/latest/download/NAME" works.
#
# The same commit, version and Go give the same bytes, on any machine: static
# binaries without paths of the machine, archives without its times and users.
#
# VERSION            what ztplan version says; without it git describe
# SOURCE_DATE_EPOCH  time of everything in the archives; without it the commit's
set -euo pipefail
export LC_ALL=C # the order of names

out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
programs=("$@")
if [[ ${#programs[@]} == 0 ]]; then programs=(ztplan ztlab); fi
cd "$(dirname "$0")/../.."

version=${VERSION:-$(git describe --tags --always --dirty)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pack DIR ARCHIVE. What is given to tar and gzip is what their defaults leave to the
# machine.
pack() {
  tar --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -C "$1" -cf - $(cd "$1" && printf '%s\n' *) | gzip -9 -n >"$2"
}

build() {
  local program=$1 os=$2 arch=$3 module=. package=./cmd/ztplan
  if [[ $program == ztlab ]]; then module=cmd/ztlab package=.; fi
  local dir=$work/${program}_${os}_$arch
  mkdir "$dir"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOFLAGS=-mod=readonly go build -C "$module" -trimpath -buildvcs=true \
    -ldflags "-s -w -buildid= -X main.version=$version" -o "$dir/$program" "$package"
  cp LICENSE README.md "$dir/"
  if [[ $program == ztplan ]]; then
    mkdir "$dir/schemas"
    cp schemas/*.schema.json "$dir/schemas/"
    cp schemas/*.schema.json "$out/"
  fi
  pack "$dir" "$out/${program}_${os}_$arch.tar.gz"
  if [[ ${SBOM:-yes} == yes ]]; then
    # What is in the binary, from the binary itself.
    go run "$sbom" bin -json -std -noserial -notimestamp -version "$version" -output "$out/${program}_${os}_$arch.cdx.json" "$dir/$program"
  fi
}

sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
for program in "${programs[@]}"; do
  platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)
  case $program in
    ztplan) ;;
    ztlab)
      platforms=(linux/amd64 linux/arm64)
      (cd cmd/ztlab && go generate ./charts)
      ;;
    *)
      echo "there is no program $program: ztplan and ztlab" >&2
      exit 1
      ;;
  esac
  if [[ -n ${PLATFORMS:-} ]]; then read -ra platforms <<<"$PLATFORMS"; fi
  for p in "${platforms[@]}"; do build "$program" "${p%/*}" "${p#*/}"; done
done
cd "$out"
sha256sum -- *.tar.gz $(compgen -G '*.json' || true) >checksums.txt
