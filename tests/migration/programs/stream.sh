#!/bin/sh
# Follows a prediction's stream with curl and prints the last status in it. The page "API Reference" only names the
# path. Server-sent events with the prediction as JSON are an assumption.
set -eu

BASE_URL="https://api.deepcreativelabs.com/v1"
BEARER="$DEEPCREATIVE_API_KEY"

prediction=$(curl -sS --fail-with-body "$BASE_URL/black-forest-labs/flux-kontext-max/predictions" \
  -H "Authorization: Bearer $BEARER" -H "Content-Type: application/json" \
  -d '{"input":{"prompt":"A serene Japanese garden"}}')
id=$(echo "$prediction" | sed -n 's/.*"job_id": *"\([^"]*\)".*/\1/p')

curl -sS --fail-with-body --no-buffer "$BASE_URL/predictions/$id/stream" -H "Authorization: Bearer $BEARER" |
  sed -n 's/^data: .*"status": *"\([^"]*\)".*/\1/p' | tail -n 1
