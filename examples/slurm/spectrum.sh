#!/bin/bash
# One spectrum, or many, in jobs that survive time limit, preemption and a failing node.
#
#   one network      sbatch spectrum.sh model.pt --inputs drive.npy --transient 500 -o run.h5
#   many networks    sbatch --array=1-10 spectrum.sh 'weights/*.pt' --inputs drive.npy \
#                        --transient 500 -o runs --shard auto
#   and merged       sbatch --array=1-10 spectrum.sh sweep 'weights/*.pt' --inputs drive.npy \
#                        --transient 500 -o sweep.h5 --shard auto
#
# The words after spectrum.sh are those of `lyapy spectrum`, or after the word sweep those of
# `lyapy sweep`, of which the last task to end leaves the file complete. lyapy writes checkpoints
# beside its result as it goes. Told to stop, it writes a last one and exits with 75; this script
# then puts the job back in the queue, where the same command continues. Submitting it again does no
# harm: a run that is finished says so. `lyapy show run.h5` tells how far a running one is.
#
# Change the lines below to your cluster; options of sbatch on the command line count more.

#SBATCH --job-name=spectrum
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=4         # trajectories that are computed at a time
#SBATCH --signal=B:USR1@120       # tell this shell (B:) 120 s before the time limit, or earlier
#SBATCH --requeue                 # allow the job to go back to the queue
#SBATCH --open-mode=append        # and keep what its log already says
#SBATCH --output=%x-%j.log

# load here what you need, such as: source "$HOME/venv/bin/activate"

# compiled code: in a folder that all nodes see, it is compiled once
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$HOME/.cache/numba}"

if [[ $1 != sweep ]]; then
    set -- spectrum "$@"
fi

# in the background, as bash does not react to signals while it waits for a command in front;
# with srun, as only what it starts is told of a preemption before the grace time is over
srun --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" lyapy "$@" &
program=$!

# Before the time limit Slurm tells this shell alone, which passes it on. When it ends the job, it
# sends TERM to lyapy too: nothing to pass on, as a second signal would end lyapy at once.
trap 'told=yes; kill -USR1 "$program"' USR1
trap 'told=yes' TERM

# wait until lyapy has ended, not only until a signal has come
told=yes
while [[ $told ]]; do
    told=
    wait "$program"
    code=$?
done

# A task of an array needs both numbers: the array's alone would stand for all of its tasks.
job="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"

# 75: there is more to do. 138 and 143: a signal came before lyapy had begun.
# The state is RUNNING unless Slurm is ending the job itself; one that you cancelled must not return.
# After 100 times something else is wrong, such as a time limit shorter than the time in --signal.
if [[ $code == 75 || $code == 138 || $code == 143 ]] &&
    [[ $(squeue --noheader --jobs="$job" --format=%T) == RUNNING ]] &&
    ((${SLURM_RESTART_COUNT:-0} < 100)); then
    scontrol requeue "$job"
fi
exit "$code"
