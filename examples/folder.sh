#!/usr/bin/env bash
# Every video of a folder, one after the other, in one process that keeps the models.
#
#     bash examples/folder.sh VIDEOS OUT [OPTION...]
#
# Writes OUT/NAME.glb for each and OUT/batch.json about all of them. A video that cannot be used is listed there and
# does not stop the rest. Run it again after an interruption: what is done is skipped (--fresh does it again).
set -euo pipefail

videos=${1:?give the folder of videos} out=${2:?give the folder for the results}
shift 2

shopt -s nullglob nocaseglob
clips=("$videos"/*.{mp4,m4v,mov,mkv,webm,avi,gif})
if ((${#clips[@]} == 0)); then
    echo "There is no video in $videos." >&2
    exit 2
fi
exec lim reconstruct "${clips[@]}" -o "$out" "$@"
