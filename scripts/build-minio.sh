#!/bin/sh
# Build the pinned MinIO server and its client mc from source, as static binaries.
#
#   scripts/build-minio.sh DIRECTORY
#
# Needs Go 1.24 or newer and a Go module proxy; about three minutes on two cores.  Leaves
# DIRECTORY/minio and DIRECTORY/mc.  The checksums of both modules are pinned here; those of their
# dependencies are pinned by the modules' own go.sum files, so one line changed anywhere upstream
# stops the build.  The Dockerfile and the tests build by this very script.
set -eu

SERVER_MODULE=github.com/minio/minio
SERVER_VERSION=v0.0.0-20250422221226-0d7408fc9969
SERVER_SUM='h1:XqfWRNtM5qMJyGQ4IFsnfHb83fCaRYhrKxJJ0ajXdrQ='
SERVER_RELEASE=2025-04-22T22:12:26Z
SERVER_COMMIT=0d7408fc9969caf07de6a8c3a84f9fbb10a6739e

CLIENT_MODULE=github.com/minio/mc
CLIENT_VERSION=v0.0.0-20250416181326-b00526b153a3
CLIENT_SUM='h1:/+FyTH/5bujOr98IoeD0hEScySnujdArBXTownukILk='
CLIENT_RELEASE=2025-04-16T18:13:26Z

fail() {
    echo "build-minio: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "expected one argument: the directory to put minio and mc into"
command -v go >/dev/null || fail "go is not on PATH; install Go 1.24 or newer"
mkdir -p "$1"
destination=$(cd "$1" && pwd)

# build MODULE VERSION SUM RELEASE COMMIT
build() {
    name=${1##*/}
    echo "build-minio: building $name of $4" >&2
    found=$(go mod download -json "$1@$2" | sed -n 's/^[[:space:]]*"Sum": "\(.*\)",*$/\1/p')
    [ "$found" = "$3" ] || fail "$1@$2 has checksum '$found', expected '$3'"
    tag=RELEASE.$(echo "$4" | tr ':' '-')
    package=$1/cmd
    CGO_ENABLED=0 GOBIN=$destination GOFLAGS='' go install -trimpath -ldflags "-s -w \
        -X $package.Version=$4 -X $package.ReleaseTag=$tag -X $package.CommitID=$5" "$1@$2"
}

build $SERVER_MODULE $SERVER_VERSION "$SERVER_SUM" $SERVER_RELEASE $SERVER_COMMIT
build $CLIENT_MODULE $CLIENT_VERSION "$CLIENT_SUM" $CLIENT_RELEASE b00526b153a3
"$destination/minio" --version >&2
