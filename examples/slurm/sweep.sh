#!/bin/bash
# Submits both jobs: an array over many weights files, and the merging of its results.
# Run it on the login node, in the folder where weights and inputs are:
#
#   bash sweep.sh
#
# Run it again to fill gaps: results that are there stay, what is unfinished goes on.
set -eu

weights='weights/*.pt'          # quoted wherever it is used: lyapy itself looks for the files
inputs=drive.npy
results=runs
scripts=$(dirname "$0")

# %5: at most five tasks at a time
array=$(sbatch --parsable --array=1-20%5 "$scripts/spectrum.sh" "$weights" \
    --inputs "$inputs" --transient 500 -o "$results" --shard auto)

sbatch --dependency="afterany:${array%%;*}" \
    "$scripts/merge.sh" "$results" -o all.h5 --expect "$weights"
