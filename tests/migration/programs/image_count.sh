#!/bin/sh
# Makes a picture with curl and prints its URL. The create is the one of the page of flux-kontext-max: `image_count` is
# beside `input`, and `accept` names JSON.
set -eu

BASE_URL="https://api.deepcreativelabs.com/v1"
BEARER="$DEEPCREATIVE_API_KEY"

call() {
  curl -sS --fail-with-body -H "Authorization: Bearer $BEARER" -H "accept: application/json" "$@"
}

text_of() { # the member's name; JSON comes from stdin
  sed -n "s/.*\"$1\": *\[*\"\([^\"]*\)\".*/\1/p"
}

prediction=$(call -X POST "$BASE_URL/black-forest-labs/flux-kontext-max/predictions" \
  -H "Content-Type: application/json" \
  -d '{"input":{"prompt":"A hot air balloon over a garden"},"image_count":1}')
id=$(echo "$prediction" | text_of job_id)

until echo "$prediction" | text_of status | grep -Eq 'succeeded|failed|canceled'; do
  sleep 1
  prediction=$(call "$BASE_URL/predictions/$id")
done
echo "$prediction" | text_of output
