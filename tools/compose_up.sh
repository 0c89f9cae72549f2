#!/bin/sh
# Starts the cluster of containers, waits until all of it is healthy, and prints its addresses.
# `docker compose up --build --scale worker=2` starts the same.
set -eu
workers=${WORKERS:-2}
COMPOSE_PROJECT_NAME=$(sh tools/compose_project.sh)
export COMPOSE_PROJECT_NAME

# Files that the containers write to data/ and labs/ belong to you; root stays out of containers.
if [ -z "${DASKCLASS_UID:-}" ] && ! grep -qs '^ *DASKCLASS_UID=' .env && [ "$(id -u)" != 0 ]; then
    DASKCLASS_UID=$(id -u) DASKCLASS_GID=$(id -g)
    export DASKCLASS_UID DASKCLASS_GID
fi
user=${DASKCLASS_UID:-$(sed -n 's/^ *DASKCLASS_UID= *//p' .env 2>/dev/null | tail -1)}
for folder in data labs build; do
    # The number of its owner, third in the long listing everywhere.
    if [ "$(ls -lnd "$folder" | awk '{print $3}')" != "${user:-1000}" ]; then
        echo "$folder/ doesn't belong to user ${user:-1000}. The containers run as that user and may not be able to write there." >&2
        echo "If so: chown -R ${user:-1000} data labs build, or set DASKCLASS_UID and DASKCLASS_GID (see .env.example)." >&2
        break
    fi
done

docker compose up --build --detach --wait --wait-timeout 180 --scale "worker=$workers" || {
    echo >&2
    docker compose ps --all --format '{{.Health}}|{{.State}}|{{.Name}}|{{.Status}}' 2>/dev/null |
        grep -v -e '^healthy|' -e '^|created|' | while IFS='|' read -r _health _state name status; do
            echo "$name: $status. Its last lines:" >&2
            docker logs --tail 20 "$name" >&2
        done
    echo "The cluster didn't start; see Compose's message above. .env sets ports, memory and more (see .env.example)." >&2
    echo "make down removes the containers that did start." >&2
    exit 1
}

token=$(docker compose exec -T notebook jupyter server list --json | sed -n 's/.*"token": "\([^"]*\)".*/\1/p' | head -1)
if [ -z "$token" ]; then
    echo "JupyterLab runs, but doesn't say its token. docker compose logs notebook shows its address." >&2
    exit 1
fi
echo "JupyterLab: http://$(docker compose port notebook 8888)/lab/tree/labs/00-start-here.ipynb?token=$token"
echo "Dashboard:  http://$(docker compose port scheduler 8787)/status"
echo "Scheduler:  tcp://$(docker compose port scheduler 8786)"
echo "make down stops it; the data stays in data/."
