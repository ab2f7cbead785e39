#!/bin/sh
# The project on its volume: where the folder is empty, the image's files, as a git repository (flows
# make worktrees of it). A folder with a project in it is left as it is.
#
#   sh checkout.sh FROM TO
set -eu
from=$1
to=$2
# Is there while the folder is being filled; git ignores the name.
unfinished=$to/.checkout.part
if [ -e "$to/dvc.yaml" ] && [ ! -e "$unfinished" ]; then
  for part in symbio flows requirements.lock; do
    if ! diff -qr --exclude=__pycache__ "$from/$part" "$to/$part" > /dev/null; then
      echo "$to/$part is not the image's; docs/cluster.md says how to bring it up to date"
    fi
  done
  exit 0
fi
touch "$unfinished"
cp -R "$from/." "$to/"
cd "$to"
export GIT_AUTHOR_NAME=symbio GIT_AUTHOR_EMAIL=symbio@localhost
export GIT_COMMITTER_NAME=symbio GIT_COMMITTER_EMAIL=symbio@localhost
git init --quiet --initial-branch=main
git add --all
git commit --quiet --allow-empty --message "From the image"
rm "$unfinished"
echo "$to: filled from the image"
