#!/usr/bin/env bash
# All models from nothing, in the order in which they need each other: train_all.sh RUNS [OPTIONS OF lim train]
# For example: train_all.sh runs --assets my_rigged_glbs --set compile=true
# A run that was stopped goes on where it was; a finished one is left alone.
set -euo pipefail
recipes=$(cd "$(dirname "$0")" && pwd)
runs=${1:?usage: train_all.sh RUNS [OPTIONS OF lim train]}
shift

train() {
    local task=$1 recipe=$2
    shift 2
    local resume=()
    [ ! -d "$runs/$recipe/state" ] || resume=(--resume)
    lim train "$task" --config "$recipes/$recipe.toml" -o "$runs/$recipe" "${resume[@]}" "$@"
}

train lrm lrm "$@"
train lrm lrm_feedback --initial "$runs/lrm/model" "$@"
train canonical_lrm canonical_lrm --initial "$runs/lrm/model" "$@"
train lim lim --teacher "$runs/lrm_feedback/model" "$@"
train lim lim_restoration --teacher "$runs/lrm_feedback/model" --initial "$runs/lim/model" "$@"
train canonical_lim canonical_lim --teacher "$runs/lrm_feedback/model" --initial "$runs/lim/model" "$@"
train views views "$@"
train volume volume "$@"
