#!/bin/bash
# A run of some minutes of stream, shipping and backups under load: memory,
# descriptors and threads stay flat, nothing is behind, nothing is missing
# (scripts/soak).  Only with PITR_LONG=1.
if [ -z "${PITR_LONG:-}" ]; then
    echo "only with PITR_LONG=1; an hour: scripts/soak"
    exit 77
fi
exec bash "$(dirname "$0")/../../scripts/soak" --minutes 4 --seed 4711
