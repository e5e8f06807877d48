#!/bin/sh
# Fill in the gateway's configuration from the environment, and serve.
set -eu

fail() {
    echo "gateway: $*" >&2
    exit 1
}

: "${GATEWAY_UPSTREAM:=minio}"
: "${GATEWAY_RESOLVER:=127.0.0.11}"
: "${MINIO_BUCKET_JOBS:=darkchannel-jobs}"
: "${MINIO_BUCKET_OUTPUT:=darkchannel-output}"
: "${MINIO_LINK_ACCESS_KEY:?the key that links are signed with}"
export GATEWAY_UPSTREAM GATEWAY_RESOLVER MINIO_BUCKET_JOBS MINIO_BUCKET_OUTPUT MINIO_LINK_ACCESS_KEY

# These become part of regular expressions and of the configuration itself.
for value in "$MINIO_LINK_ACCESS_KEY" "$MINIO_BUCKET_JOBS" "$MINIO_BUCKET_OUTPUT"; do
    case "$value" in
    '' | *[!A-Za-z0-9-]*) fail "'$value': expected letters, digits and hyphens only" ;;
    esac
done

# shellcheck disable=SC2016  # names for envsubst, which leaves nginx's own variables alone
envsubst '$GATEWAY_UPSTREAM $GATEWAY_RESOLVER $MINIO_BUCKET_JOBS $MINIO_BUCKET_OUTPUT $MINIO_LINK_ACCESS_KEY' \
    < "${GATEWAY_TEMPLATE:-/etc/nginx/nginx.conf.template}" > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
