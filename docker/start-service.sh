#!/bin/sh
# Start a service of the project: put down whose keys are let in, then become it.
#
# API_KEY_HASHES holds NAME:SHA256 entries, separated by spaces; keys themselves never come here.
set -eu

if [ -n "${API_KEY_HASHES:-}" ]; then
    # shellcheck disable=SC2086  # one entry a line
    printf '%s\n' $API_KEY_HASHES > /tmp/api-keys
    chmod 600 /tmp/api-keys
    export DARKCHANNEL_API_KEYS_FILE=/tmp/api-keys
fi
exec darkchannel "$@"
