#!/bin/sh
# Builds the image on another Python and rehearses some labs in one container of it, at size smoke.
#
#     sh tools/rehearse_on_python.sh [BASE_IMAGE [LABS]]       default: python:3.14-slim 00-02,13
#
# The base image is a Debian with `python` and `pip`, such as Docker's official ones. Nothing is left but the image.
set -eu
base=${1:-python:3.14-slim}
labs=${2:-00-02,13}
image=daskclass-on-$(printf %s "$base" | tr -c 'a-zA-Z0-9_.-' '-' | tr A-Z a-z)

docker image inspect "$base" >/dev/null 2>&1 || docker pull --quiet "$base" || {
    echo "There is no image $base here, and Docker can't pull it. Name one that you have: sh $0 IMAGE" >&2
    exit 2
}
docker build --quiet --build-arg "PYTHON_IMAGE=$base" --tag "$image" . >/dev/null

# As the notebook's container in docker-compose.yml: 2 GB without swap, no root, no rights to gain. The labs are there
# to be read only; data and report go away with the container.
docker run --rm --init --memory 2g --memory-swap 2g --cap-drop ALL --security-opt no-new-privileges:true \
    --volume "$(pwd)/labs:/class/labs:ro" --env DASKCLASS_DATA=/home/learner/data "$image" \
    sh -c "python --version && daskclass data --size smoke && daskclass rehearse --size smoke --labs '$labs'"
