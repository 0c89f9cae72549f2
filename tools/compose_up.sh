#!/bin/sh
# Starts the cluster of containers, waits until all of it is healthy, and prints where it is.
# `docker compose up --build --scale worker=2` starts the same.
set -eu
workers=${WORKERS:-2}

# What is written to data/ and labs/ shall belong to whoever calls; root stays out of containers.
if [ -z "${DASKCLASS_UID:-}" ] && ! grep -qs '^ *DASKCLASS_UID=' .env && [ "$(id -u)" != 0 ]; then
    DASKCLASS_UID=$(id -u) DASKCLASS_GID=$(id -g)
    export DASKCLASS_UID DASKCLASS_GID
fi
user=${DASKCLASS_UID:-$(sed -n 's/^ *DASKCLASS_UID= *//p' .env 2>/dev/null | tail -1)}
for folder in data labs build; do
    # The number of its owner, third in the long listing everywhere.
    if [ "$(ls -lnd "$folder" | awk '{print $3}')" != "${user:-1000}" ]; then
        echo "$folder/ does not belong to user ${user:-1000}, whom the containers run as: they may not be able to write there." >&2
        echo "If so: chown -R ${user:-1000} data labs build, or set DASKCLASS_UID and DASKCLASS_GID (see .env.example)." >&2
        break
    fi
done

docker compose up --build --detach --scale "worker=$workers" || {
    echo "The cluster did not start. A port in use, or a value that makes no sense: both are set in .env (see .env.example)." >&2
    echo "A container that is not healthy: docker compose logs worker. make down ends what has started." >&2
    exit 1
}

printf 'waiting until everything is healthy '
tries=0
for service in scheduler worker notebook; do
    while :; do
        states=$(docker compose ps -q "$service" | xargs docker inspect --format '{{.State.Health.Status}}')
        [ -n "$states" ] && ! printf '%s\n' "$states" | grep -qv '^healthy$' && break
        tries=$((tries + 1))
        if [ "$tries" -gt 120 ]; then
            echo; echo "$service is not healthy after two minutes: docker compose logs $service" >&2
            exit 1
        fi
        printf .
        sleep 1
    done
done
echo

port_of() { docker compose port "$1" "$2" | sed 's/^0\.0\.0\.0/127.0.0.1/'; }
token=$(docker compose exec -T notebook jupyter server list --json | sed -n 's/.*"token": "\([^"]*\)".*/\1/p' | head -1)
echo "JupyterLab: http://$(port_of notebook 8888)/lab/tree/labs/00-start-here.ipynb?token=$token"
echo "Dashboard:  http://$(port_of scheduler 8787)/status"
echo "Scheduler:  tcp://$(port_of scheduler 8786)"
echo "make down ends it; the data stays in data/."
