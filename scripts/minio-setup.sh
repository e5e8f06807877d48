#!/bin/sh
# Set a store up: buckets, expiry, quotas, one user for each service with the least it needs.
#
#   docker compose run --rm minio-setup       in the stack
#   scripts/minio-setup.sh                    by hand: mc on PATH, the names of .env exported
#
# Safe to run again and by two at once; a changed secret in .env becomes the user's secret.  On a
# server that is not MinIO it does what S3 allows and says what it could not.
set -eu

: "${MINIO_ENDPOINT:=http://minio:9000}"
: "${MINIO_ROOT_USER:?name the administrator}" "${MINIO_ROOT_PASSWORD:?name its password}"
: "${MINIO_BUCKET_JOBS:=darkchannel-jobs}" "${MINIO_BUCKET_OUTPUT:=darkchannel-output}"
: "${MINIO_BUCKET_REFS:=darkchannel-refs}" "${MINIO_BUCKET_TEMP:=darkchannel-temp}"
: "${BIND_ADDRESS:=127.0.0.1}"
SERVICES='api speech n8n link backup metrics'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export MC_CONFIG_DIR="$work/mc"

say() {
    echo "minio-setup: $*"
}

fail() {
    echo "minio-setup: $*" >&2
    exit 1
}

# retry COMMAND...: two who set up at once may stumble over each other; a second try does not.
retry() {
    for pause in 1 2 4; do
        if "$@" >"$work/output" 2>&1; then
            return 0
        fi
        sleep "$pause"
    done
    "$@" >"$work/output" 2>&1 || fail "$* failed: $(tail -n 3 "$work/output")"
}

# value NAME: what the variable of that name holds; empty where it is not set.
value() {
    eval "printf '%s' \"\${$1:-}\""
}

upper() {
    printf '%s' "$1" | tr '[:lower:]' '[:upper:]'
}

check_settings() {
    for bucket in "$MINIO_BUCKET_JOBS" "$MINIO_BUCKET_OUTPUT" "$MINIO_BUCKET_REFS" "$MINIO_BUCKET_TEMP"; do
        case "$bucket" in
        '' | *[!a-z0-9.-]*) fail "'$bucket' is not the name of a bucket" ;;
        esac
    done
    names=MINIO_ROOT_PASSWORD
    for service in $SERVICES; do
        names="$names MINIO_$(upper "$service")_SECRET_KEY"
    done
    case "$BIND_ADDRESS" in
    127.* | localhost | ::1 | '[::1]') return ;;
    esac
    for name in $names; do
        case "$(value "$name")" in
        change-me*)
            fail "$name is the example's, and BIND_ADDRESS=$BIND_ADDRESS publishes to others:" \
                "make secrets with \`make env\`, or publish on 127.0.0.1"
            ;;
        esac
    done
}

connect() {
    # Keys by standard input: arguments can be read by every user of the machine.
    log_in() {
        printf '%s\n%s\n' "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" |
            mc alias set store "$MINIO_ENDPOINT" --api S3v4 && mc ls store
    }
    log_in >"$work/output" 2>&1 ||
        fail "$MINIO_ENDPOINT does not let us in: $(tail -n 1 "$work/output")"
}

# close_bucket NAME: nobody without a key; some servers call it an error that nobody was let in.
close_bucket() {
    mc anonymous set none "store/$1" >"$work/closing" 2>&1 ||
        grep 'policy does not exist' "$work/closing" ||
        { cat "$work/closing"; return 1; }
}

make_buckets() {
    for bucket in "$MINIO_BUCKET_JOBS" "$MINIO_BUCKET_OUTPUT" "$MINIO_BUCKET_REFS" "$MINIO_BUCKET_TEMP"; do
        retry mc mb --ignore-existing "store/$bucket"
        retry close_bucket "$bucket"
        say "bucket $bucket"
    done
}

# Days: 1 is the shortest there is; MinIO rounds it up to midnight UTC.  `darkchannel cleanup` keeps
# to 24 hours.  No rule on the jobs bucket: listing a bucket that has rules may leave entries out.
expire_temp() {
    cat >"$work/lifecycle.json" <<JSON
{"Rules": [{"ID": "expire-after-a-day", "Status": "Enabled",
  "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
JSON
    import_lifecycle() { mc ilm rule import "store/$MINIO_BUCKET_TEMP" <"$work/lifecycle.json"; }
    retry import_lifecycle expire
    say "objects in $MINIO_BUCKET_TEMP expire after a day"
}

limit() {
    retry mc admin config set store api stale_uploads_expiry=24h stale_uploads_cleanup_interval=6h
    say 'uploads that nobody finished expire after a day'
    for kind in JOBS OUTPUT REFS TEMP; do
        quota=$(value "MINIO_QUOTA_$kind")
        [ -n "$quota" ] || continue
        retry mc quota set "store/$(value "MINIO_BUCKET_$kind")" --size "$quota"
        say "at most $quota in $(value "MINIO_BUCKET_$kind")"
    done
}

# statement EFFECT ACTIONS RESOURCES [CONDITION]: one statement of a policy.
statement() {
    printf '{"Effect": "%s", "Action": [%s], "Resource": [%s]%s}' \
        "$1" "$(quoted "$2")" "$(resources "$3")" "${4:+, \"Condition\": $4}"
}

quoted() {
    list=''
    for word in $1; do list="$list, \"$word\""; done
    printf '%s' "${list#, }"
}

resources() {
    list=''
    for word in $1; do list="$list, \"arn:aws:s3:::$word\""; done
    printf '%s' "${list#, }"
}

# What each service may do; all else is refused.
statements_of() {
    jobs=$MINIO_BUCKET_JOBS output=$MINIO_BUCKET_OUTPUT refs=$MINIO_BUCKET_REFS temp=$MINIO_BUCKET_TEMP
    uploads='s3:AbortMultipartUpload s3:ListMultipartUploadParts'
    set -f # the stars are the policies', not file names
    case "$1" in
    api) # makes jobs, follows them, publishes, cleans up
        statement Allow 's3:ListBucket s3:GetBucketLocation s3:ListBucketMultipartUploads s3:GetLifecycleConfiguration' \
            "$jobs $output $refs $temp"
        echo ,
        statement Allow "s3:GetObject s3:PutObject s3:DeleteObject $uploads" \
            "$jobs/* $output/* $refs/* $temp/*"
        ;;
    speech) # reads voices, writes takes
        statement Allow "s3:GetObject s3:PutObject $uploads" "$jobs/*/chunks/* $temp/takes/*"
        echo ,
        statement Allow s3:GetObject "$refs/*"
        echo ,
        statement Allow s3:ListBucket "$refs" '{"StringLike": {"s3:prefix": ["voices/*"]}}'
        ;;
    n8n) # follows jobs, hands results on
        statement Allow s3:GetObject "$jobs/*/metadata.json $jobs/*/final/* $output/*"
        echo ,
        statement Allow s3:ListBucket "$output" '{"StringLike": {"s3:prefix": ["20*"]}}'
        ;;
    link) # is what presigned links are signed with
        statement Allow s3:GetObject "$jobs/*/final/* $output/*"
        ;;
    backup) # reads what is worth keeping
        statement Allow 's3:ListBucket s3:GetBucketLocation s3:GetLifecycleConfiguration s3:GetBucketPolicy' \
            "$jobs $output $refs"
        echo ,
        statement Allow s3:GetObject "$jobs/* $output/* $refs/*"
        ;;
    metrics) # looks at figures
        printf '{"Effect": "Allow", "Action": ["admin:Prometheus"]}'
        ;;
    esac
    set +f
}

# Said again as denials, so that no later policy gives it back: a user's own keys, whose rights the
# pinned release does not confine (CVE-2025-62506), and everything that changes a bucket.
denials() {
    printf '{"Effect": "Deny", "Action": [%s]}' "$(quoted 'admin:CreateServiceAccount
        admin:UpdateServiceAccount admin:RemoveServiceAccount admin:CreateUser admin:CreatePolicy
        admin:AttachUserOrGroupPolicy admin:ConfigUpdate')"
    echo ,
    set -f
    statement Deny 's3:CreateBucket s3:DeleteBucket s3:ForceDeleteBucket s3:PutBucketPolicy
        s3:DeleteBucketPolicy s3:PutLifecycleConfiguration s3:BypassGovernanceRetention' '*'
    set +f
}

add_service() {
    name=MINIO_$(upper "$1")
    access=$(value "${name}_ACCESS_KEY") secret=$(value "${name}_SECRET_KEY")
    if [ -z "$access" ] || [ -z "$secret" ]; then
        fail "${name}_ACCESS_KEY or ${name}_SECRET_KEY is missing"
    fi
    {
        echo '{"Version": "2012-10-17", "Statement": ['
        statements_of "$1"
        echo ,
        denials
        echo ']}'
    } >"$work/policy.json"
    retry mc admin policy create store "darkchannel-$1" "$work/policy.json"
    add_user() { printf '%s\n%s\n' "$access" "$secret" | mc admin user add store; }
    retry add_user "$access"
    attach "darkchannel-$1" "$access"
    say "user $access may do what $1 needs"
}

# Attaching a policy twice is an error to mc; that it is attached is all that matters.
attach() {
    mc admin policy attach store "$1" --user "$2" >"$work/output" 2>&1 || true
    mc admin user info store "$2" --json >"$work/output" 2>&1 || true
    grep -q "\"policyName\": *\"$1\"" "$work/output" ||
        fail "policy $1 could not be attached to $2: $(tail -n 3 "$work/output")"
}

check_settings
connect
make_buckets
expire_temp
if mc admin info store >/dev/null 2>&1; then
    limit
    for service in $SERVICES; do
        add_service "$service"
    done
else
    say "not a MinIO: quotas, users and policies have to be made with that server's own tools"
fi
say 'done'
