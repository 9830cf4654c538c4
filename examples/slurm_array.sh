#!/usr/bin/env bash
#SBATCH --job-name=lim
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem=6G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --output=lim-%A-%a.log
# Many clips as a Slurm job array; every task takes its share of them.
#
#     sbatch examples/slurm_array.sh 'clips/*.mp4' OUT [OPTION...]
#
# Quote the pattern, so that all tasks see the same list. For GPUs add `#SBATCH --gpus=1` above and `--device cuda`
# behind OUT. A task that is requeued skips the clips it has finished. OUT/batch-I-of-N.json tells how each task went.
set -euo pipefail

clips=${1:?give a quoted pattern} out=${2:?give the folder for the results}
shift 2

# Slurm's numbers may begin anywhere and go in steps (--array=0-14:2); shards count 1, 2, 3 ...
step=${SLURM_ARRAY_TASK_STEP:-1} first=${SLURM_ARRAY_TASK_MIN:-1}
part=$(((SLURM_ARRAY_TASK_ID - first) / step + 1))

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
exec lim reconstruct "$clips" -o "$out" --shard "$part/$SLURM_ARRAY_TASK_COUNT" --json "$@"
