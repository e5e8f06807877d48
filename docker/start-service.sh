#!/bin/sh
# Start a service of the project: put down whose keys are let in, then become it.
#
# API_KEY_HASHES holds NAME:SHA256 entries, separated by spaces; keys themselves never come here.
set -eu

EXAMPLES='246f5e32ea6482cd92ab8705ae16f2955f62ee92ad25aceabba6773c917ee5e3
2e1c62188369f8aa88653b61aaa0dea58b3ff02f09b2254fc3e1a9353713a24b'

refuse_example_keys() {
    case "${BIND_ADDRESS:-127.0.0.1}" in
    127.* | localhost | ::1 | '[::1]') return ;;
    esac
    for hash in $EXAMPLES; do
        case "$API_KEY_HASHES" in
        *"$hash"*)
            echo "start-service: an API key is the example's, and BIND_ADDRESS=$BIND_ADDRESS" \
                "publishes to others: make keys with \`make env\`, or publish on 127.0.0.1" >&2
            exit 1
            ;;
        esac
    done
}

if [ -n "${API_KEY_HASHES:-}" ]; then
    refuse_example_keys
    # shellcheck disable=SC2086  # one entry a line
    printf '%s\n' $API_KEY_HASHES > /tmp/api-keys
    chmod 600 /tmp/api-keys
    export DARKCHANNEL_API_KEYS_FILE=/tmp/api-keys
fi
# What a container that was killed left of a book in the making; nobody else writes there.
if [ -n "${TMPDIR:-}" ]; then
    find "$TMPDIR" -mindepth 1 -maxdepth 1 -name 'darkchannel-*' -exec rm -rf {} +
fi
exec darkchannel "$@"
