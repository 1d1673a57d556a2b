#!/bin/sh
# Writes a plan as a comment of a pull request, or renews the one of an earlier run, which is found by its marker.
# Usage: comment.sh FILE. Reads: GH_TOKEN, GITHUB_REPOSITORY, PULL_REQUEST.
set -eu

file=$1
marker=$(head -n 1 "$file")
comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
known=$(gh api --paginate "$comments" --jq '.[] | select(.user.type == "Bot") | [.id, (.body | split("\n")[0])] | @tsv' |
  awk -F '\t' -v marker="$marker" '$2 == marker { print $1; exit }')
if [ -n "$known" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" -F "body=@$file"
else
  gh api --silent --method POST "$comments" -F "body=@$file"
fi
