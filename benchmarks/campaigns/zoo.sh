#!/usr/bin/env bash
# From photographs to the embedded suite of eleven families, the three generators beside them, and ProGANs of eight
# categories, on two CPU cores. Every step resumes; two trainings run at a time.
#   benchmarks/campaigns/eleven.sh PHOTOS PACKAGES WORK [RECIPE]
# PHOTOS, PACKAGES, WORK: as in first.sh, whose two ProGANs (WORK/zoo/progan_cat and progan_scene) the categories start from.
# RECIPE: cpu (what was run, hours) or gpu (minutes a family; then give DEVICE=cuda).
set -euo pipefail
photos=$1 packages=$2 work=$3 recipe=${4:-cpu} device=${DEVICE:-cpu}
export OMP_NUM_THREADS=1

# Free photographs in two halves; again with 30 crops of each for the suite of 1,000 + 1,000.
python -m cnndetect.zoo photos --packages "$packages" --out "$work/free"
python -m cnndetect.zoo photos --packages "$packages" --per-photo 30 --out "$work/free-1000"

train() { python -m cnndetect.zoo train "$1" --photos "$work/free/generators" --recipe "$recipe" --device "$device" --seed "$2" --out "$work/zoo2/$3"; }
category() {
  python -m cnndetect.zoo train progan --photos "$photos/$1" --split train --recipe cpu-tune \
    --start "$work/zoo/progan_$2/checkpoint.pt" --seed 0 --out "$work/zoo2/progan_$1"
}
queue() { while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done; "$@" & }

# The suite's families see the generators' half of the free photographs and nothing else; ProGAN by a seed of its own.
queue train progan 10 progan_free
for family in stylegan cyclegan stargan biggan gaugan deepfake imle stylegan2 dcgan; do queue train "$family" 0 "$family"; done

# ProGANs of the detector's training set: the training photographs only. Each continues a ProGAN of first.sh.
for name in dog monkey clothing; do queue category "$name" cat; done
for name in kitchen bedroom house_front; do queue category "$name" scene; done

# The simulator is a source of training images, so it sees training photographs.
queue python -m cnndetect.zoo train autogan --photos "$photos/scene" --split train --recipe "$recipe" --device "$device" --out "$work/zoo2/autogan"
wait
