#!/usr/bin/env bash
# From the training set of zoo.sh to every detector of the tables, on two CPU cores: two trainings run at a time and each resumes.
#   benchmarks/campaigns/detectors.sh PHOTOS WORK START
# PHOTOS: as for zoo.sh.  WORK: its WORK, with training/ (eight categories) and zoo/autogan/.
# START:  weights that both ResNet-50 start from; the ones run here started from progan2-r50-bj01 of the first campaign (first.sh).
# On a GPU give EXTRA="--device cuda --amp bf16 --compile" and drop the limits of images and epochs; nothing else changes.
set -euo pipefail
photos=$1 work=$2 start=$3
export OMP_NUM_THREADS=1
common="--threads 1 --channels-last --checkpoint-seconds 240 ${EXTRA:-}"
small="--crop-px 64 --max-val-images 1000"
queue() { while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done; "$@" & }
train() { python -m cnndetect.train --data "$1" --out "$work/runs8" --name "$2" --seed 0 $common "${@:3}"; }

# The paper's detector without augmentation and with blur and JPEG, each at probability 0.1.
for augmentation in none blur-jpeg-0.1; do
  queue cnndetect ablation run --data "$work/training" --out "$work/runs" --trunk wang2020 --mini --seeds 0 --classes all \
    --augmentations "$augmentation" --init "$start" --crop-px 64 --max-images 16000 --max-epochs 3 --lr-step-epochs 2 --batch-size 64 $common
done

# The ablations: five augmentations and three class counts, three seeds each.
for seed in 0 1 2; do
  queue cnndetect ablation run --data "$work/training" --out "$work/runs" --trunk npr --mini --seeds "$seed" --classes 2,4,all \
    $small --max-images 3000 --max-epochs 3 --threads 1 --channels-last
done

# The neighbours.
queue train "$work/training" progan8-npr --recipe mini-npr $small --max-images 24000 --max-epochs 1
for kind in r18:resnet18-ce r18-frequency:resnet18-frequency; do
  queue train "$work/training" "progan8-${kind%%:*}" --recipe "mini-${kind#*:}" --init random $small --max-images 8000 \
    --max-epochs 1 --lr-step-epochs 1
done
pairs=()
for name in cat dog scene clothing monkey kitchen bedroom house_front; do pairs+=(--generator "$name=$work/zoo/autogan/generator.pt"); done
python -m cnndetect.zoo build-training --photos "$photos" "${pairs[@]}" --per-category 200 --out "$work/training-autogan"
for kind in progan8:training autogan:training-autogan; do
  queue train "$work/${kind#*:}" "${kind%%:*}-spectrum" --recipe mini-spectrum --init random --max-images 2000 --max-val-images 400 \
    --max-epochs 1 --lr-step-epochs 1
done
wait

# What ships: packed weights, their thresholds and temperatures (printed, for the registry), and the sum of the two.
fitted="--val $work/training/val --max-images 1000 --degradation none --degradation jpeg_75 --logits $work/validation"
cnndetect detectors pack "$work/runs/wang2020-blur-jpeg-0.1-call-s0/best.safetensors" weights/progan8-r50-bj01.safetensors --bits 6
cnndetect detectors pack "$work/runs8/progan8-npr/best.safetensors" weights/progan8-npr.safetensors
for name in progan8-r50-bj01 progan8-npr; do
  cnndetect detectors calibrate "weights/$name.safetensors" $fitted --max-false-alarms 0.05
done
cnndetect detectors fuse weights/progan8-r50-bj01.safetensors weights/progan8-npr.safetensors $fitted --out weights/progan8-fusion.fusion.json

# The tables. A row of the trainer's own weights is named after its folder.
mkdir -p "$work/runs8/progan8-r50-none"
cp "$work"/runs/wang2020-none-call-s0/{best.safetensors,record.json} "$work/runs8/progan8-r50-none"
bench() { python -m cnndetect.bench --suite mini --results benchmarks/results "$@"; }
for name in progan8-r50-bj01 progan8-npr progan8-fusion cnndetect.detectors.networks.baselines:smoothness; do bench --detector "$name"; done
for name in progan8-r50-none progan8-r18 progan8-r18-frequency progan8-spectrum; do
  bench --detector "$work/runs8/$name/best.safetensors" --progan-only
done
bench --detector "$work/runs8/autogan-spectrum/best.safetensors"
python -m cnndetect.bench leaderboard --out benchmarks/LEADERBOARD.md
cnndetect ablation score --runs "$work/runs" --suite mini --results "$work/grid-results"
cnndetect ablation page --runs "$work/runs" --results "$work/grid-results" --pack "$work/grid.tar.xz"
