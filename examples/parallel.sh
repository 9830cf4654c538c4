#!/usr/bin/env bash
# Many clips on one machine, several at a time: one process a core, each with its share of the clips.
#
#     bash examples/parallel.sh JOBS 'clips/*.mp4' OUT [OPTION...]
#
# With GNU parallel if it is installed, else with xargs -P. Each process needs about 1.5 GB of memory. Quote the
# pattern. OUT/batch-I-of-JOBS.json tells how each share went; what is done is skipped when run again.
set -euo pipefail

jobs=${1:?give the number of processes} clips=${2:?give a quoted pattern} out=${3:?give the folder for the results}
shift 3

export OMP_NUM_THREADS=1 # the processes share the cores already
command=(lim reconstruct "$clips" -o "$out" --quiet "$@" --shard "{}/$jobs")
if command -v parallel >/dev/null; then
    seq "$jobs" | parallel --jobs "$jobs" --line-buffer --quote "${command[@]}"
else
    seq "$jobs" | xargs -P "$jobs" -I '{}' "${command[@]}"
fi
