#!/bin/sh
# Prints the name of this checkout's project for the machines of labs 22 and 23, as tools/compose_project.sh does for the
# cluster: MACHINES_PROJECT, or the cluster's name with -machines.
set -eu
echo "${MACHINES_PROJECT:-$(sh tools/compose_project.sh 2>/dev/null)-machines}"
