#!/bin/sh
# Starts the machines of labs 22 and 23, waits until all of them are healthy, and prints JupyterLab's address.
# If one doesn't start, it says which, removes what it has started, and ends with status 2.
set -eu
COMPOSE_PROJECT_NAME=$(sh tools/machines_project.sh)
CLASS_IMAGE=$COMPOSE_PROJECT_NAME-class
export COMPOSE_PROJECT_NAME CLASS_IMAGE
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# Files that you save in labs/ on the head belong to you; root stays root of the machines only.
if [ -z "${DASKCLASS_UID:-}" ] && [ "$(id -u)" != 0 ]; then
    DASKCLASS_UID=$(id -u)
    export DASKCLASS_UID
fi

machines() { docker compose --file deploy/machines/compose.yml "$@"; }
failed() {
    echo "Labs 22 and 23 need four machines, and $1. ${2:-}" >&2
    exit 2
}
last() { sed 's/\r//g' "$said" | grep -v '^ *$' | tail -1 | cut -c 1-300; }

docker build --quiet --tag "$CLASS_IMAGE" . >"$said" 2>&1 || failed "the class's image can't be built" "$(last)"
machines build --quiet head >"$said" 2>&1 || failed "their image can't be built" "$(last)"
# Machines that run, from this image, stay as they are. Others start anew, with new keys: half of them with old keys would
# not talk to the rest.
image=$(docker image inspect --format '{{.Id}}' "$COMPOSE_PROJECT_NAME")
running=$(machines ps --quiet --status running)
if [ "$(echo "$running" | grep -c .)" = 4 ] &&
    [ "$(echo "$running" | xargs docker inspect --format '{{.Image}}' | sort -u)" = "$image" ]; then
    before=all
else
    before=
    machines down --volumes --timeout 2 >"$said" 2>&1 || failed "older ones can't be removed" "$(last)"
fi
machines up --detach --wait --wait-timeout 120 >"$said" 2>&1 || {
    broken=$(machines ps --all --format '{{.Health}}|{{.State}}|{{.Service}}' | grep -v '^healthy|' | cut -d '|' -f 3 | sort | tr '\n' ' ')
    why=$(last)
    [ -n "$before" ] || machines down --volumes --timeout 2 >/dev/null 2>&1
    failed "these didn't start: ${broken:-all }" "$why DASKCLASS_MACHINES_PORT chooses another port than 8890, DASKCLASS_MACHINE_MEMORY other memory than 1280m."
}
token=$(machines exec -T --user learner head env HOME=/home/learner jupyter server list --json | sed -n 's/.*"token": "\([^"]*\)".*/\1/p' | head -1)
[ -n "$token" ] || failed "JupyterLab doesn't say its token" "make machines-down, and then make machines."
address=http://$(machines port head 8888)/lab/tree/labs
echo "Lab 22: $address/22-several-machines.ipynb?token=$token"
echo "Lab 23: $address/23-under-slurm.ipynb?token=$token"
echo "Everything but labs/ goes away with: make machines-down"
