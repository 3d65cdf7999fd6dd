#!/usr/bin/env bash
# Gửi bản tự đánh giá bằng curl / the same self-assessment by curl alone: POST /intake, presigned PUT, HTTP door.
# The requests lie in requests/, made from self-assessment.csv when the kit was written. Exit code 0: submitted.
set -euo pipefail
cd "$(dirname "$0")"
. ./endpoints.env
mine="/periods/$PERIOD/agencies/$AGENCY"

# the token comes from a file and never stands on a command line
call() {
  local who=$1
  shift
  curl --silent --show-error --fail-with-body \
    --header @<(printf 'Authorization: Bearer %s' "$(cat "credentials/$who.token")") "$@"
}

# the first value of a field in a line of JSON
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# one batch of CloudEvents to the intake; prints the receipts, fails if one is refused
ask() {
  local receipts
  receipts=$(call agency --header 'Content-Type: application/cloudevents-batch+json' --data-binary @"$1" "$SUBMISSION/intake")
  printf '%s\n' "$receipts"
  if grep -q '"status": *"refused"' <<<"$receipts"; then
    echo "bị từ chối / refused: $1" >&2
    return 1
  fi
}

for batch in requests/declare-*.json; do ask "$batch"; done

# a place for the file, the file, the confirmation
place=$(ask requests/upload.json)
curl --silent --show-error --fail-with-body --header 'If-None-Match: *' --upload-file "$EVIDENCE" "$(field url <<<"$place")"
confirmation=$(mktemp)
trap 'rm -f "$confirmation"' EXIT
sed "s/@UPLOAD@/$(field upload <<<"$place")/" requests/confirm.json >"$confirmation"
ask "$confirmation"

# how it stands; "faults" is what a submission still lacks
stands=$(call agency "$SUBMISSION$mine")
digest=$(field digest <<<"$stands")
echo "$stands" | grep -o '"faults": *\[[^]]*\]'

# the head approves, in person and over HTTP only; then the agency submits what was approved
call agency-head --json "{\"digest\": \"$digest\"}" "$SUBMISSION$mine/approval"
echo
call agency --json "{\"digest\": \"$digest\"}" --header "Idempotency-Key: submit-$digest" "$SUBMISSION$mine/submission"
echo

# and its fate
call agency "$SUBMISSION$mine" | field submitted
call agency "$APPRAISAL$mine/explanation-requests"
echo
call agency "$SCORING$mine/card"
echo
