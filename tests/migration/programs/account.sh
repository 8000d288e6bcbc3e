#!/bin/sh
# Prints the remaining credits with curl. The request is the first one of the page "Authentication".
set -eu

BASE_URL="https://api.deepcreativelabs.com/v1"
BEARER="$DEEPCREATIVE_API_KEY"

account=$(curl -sS --fail-with-body "$BASE_URL/account" -H "Authorization: Bearer $BEARER")
echo "$account" | sed -n 's/.*"credits_balance": *"\([^"]*\)".*/\1/p'
