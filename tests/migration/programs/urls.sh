#!/bin/sh
# Makes a picture with curl and prints its URL, as on the page "HTTP/REST API": the path starts with `/models`, the body
# names the model too, and the URL to poll comes from the response.
set -eu

BASE_URL="https://api.deepcreativelabs.com/v1"
BEARER="$DEEPCREATIVE_API_KEY"

call() {
  curl -sS --fail-with-body -H "Authorization: Bearer $BEARER" -H "Content-Type: application/json" "$@"
}

text_of() { # the member's name; JSON comes from stdin
  sed -n "s/.*\"$1\": *\[*\"\([^\"]*\)\".*/\1/p"
}

prediction=$(call "$BASE_URL/models/black-forest-labs/flux-kontext-max/predictions" \
  -d '{"provider":"black-forest-labs","model":"flux-kontext-max","input":{"prompt":"A serene Japanese garden"}}')

until echo "$prediction" | text_of status | grep -Eq 'succeeded|failed|canceled'; do
  sleep 1
  prediction=$(call "$(echo "$prediction" | text_of get)")
done
echo "$prediction" | text_of output
