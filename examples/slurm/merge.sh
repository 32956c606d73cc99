#!/bin/bash
# The results of many networks in one file:
#
#   sbatch --dependency=afterany:ARRAY merge.sh runs -o all.h5 --expect 'weights/*.pt'
#
# The words after merge.sh are those of `lyapy merge`. With afterany this runs when every task of
# the job ARRAY has ended, well or not; tasks that went back to the queue are waited for. If a
# network has no result, the log names it, and the job counts as failed.

#SBATCH --job-name=merge
#SBATCH --time=00:30:00
#SBATCH --output=%x-%j.log

# load here what you need, such as: source "$HOME/venv/bin/activate"

lyapy merge "$@" --overwrite
