#!/bin/sh
# Prints the name of this checkout's project of Docker Compose, for `make up` and `make down`.
#
# COMPOSE_PROJECT_NAME from the environment or .env comes first. Otherwise it is the name in docker-compose.yml, which
# plain `docker compose` uses too. If another checkout has containers of that name, a checksum of this folder is added.
set -eu
of_containers() { docker ps --all --filter "label=com.docker.compose.project=$1" --format "{{.Label \"$2\"}}"; }

# Whether one of the folders on standard input is another checkout. A missing folder is this one, before it was moved.
of_others() {
    while read -r found; do
        other=$(cd "$found" 2>/dev/null && pwd -P) || continue
        [ "$other" = "$here" ] || return 0
    done
    return 1
}

# As Compose reads .env: without quotes, and without a comment behind the value.
written=$(sed -n 's/^ *COMPOSE_PROJECT_NAME= *//p' .env 2>/dev/null | tail -1 | sed 's/ *#.*//; s/^["'"'"']//; s/["'"'"'] *$//; s/ *$//')
chosen=${COMPOSE_PROJECT_NAME:-$written}
here=$(pwd -P)
common=$(sed -n 's/^name: .*:-\(.*\)}"$/\1/p' docker-compose.yml)
own=$common-$(printf "%s\n" "$here" | cksum | cut -d ' ' -f 1)
folder=com.docker.compose.project.working_dir

if [ -n "$chosen" ]; then
    echo "$chosen"
elif [ -n "$(of_containers "$own" "$folder")" ] || of_containers "$common" "$folder" | of_others; then
    echo "Another checkout uses the project $common, so this one is called $own: docker compose -p $own ..." >&2
    echo "$own"
else
    echo "$common"
fi
