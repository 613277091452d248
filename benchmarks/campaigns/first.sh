#!/usr/bin/env bash
# From photographs to the first bundled detector and the embedded suite, on two CPU cores. Every step resumes.
#   benchmarks/campaigns/first.sh PHOTOS PACKAGES WORK
# PHOTOS:   one folder of numbered 256 px photographs per category (cat/, scene/); the split goes by file number.
# PACKAGES: one folder per Debian package, made with: apt-get download NAME && dpkg-deb -x NAME_*.deb PACKAGES/NAME
#           (the names: cnndetect/zoo/photographs/free_photos.py).
# WORK:     everything that is made on the way.
set -euo pipefail
photos=$1 packages=$2 work=$3
export OMP_NUM_THREADS=1
categories="cat scene"

# Free photographs: 128 px crops in two halves, by photograph.
python -m cnndetect.zoo photos --packages "$packages" --out "$work/free"

# Generators. The ProGANs see the training photographs only; the suite's families see the generators' half only.
for category in $categories; do
  python -m cnndetect.zoo train progan --photos "$photos/$category" --split train --out "$work/zoo/progan_$category" --seed 0 &
done
for family in sitd san crn; do
  python -m cnndetect.zoo train "$family" --photos "$work/free/generators" --out "$work/zoo/$family" --seed 0 &
done
wait

# The detector's training set: as many fakes as photographs, of the same categories.
pairs=()
for category in $categories; do pairs+=(--generator "$category=$work/zoo/progan_$category/generator.pt"); done
python -m cnndetect.zoo build-training --photos "$photos" "${pairs[@]}" --out "$work/training"

# The detector, and its file of one byte per weight.
OMP_NUM_THREADS=2 python -m cnndetect.train --data "$work/training" --name progan2-r50-bj01 --out "$work/runs" \
  --recipe mini-blur-jpeg-0.1 --crop-px 64 --init random --seed 0 --threads 2 --channels-last --max-seconds 1860

# The embedded suite: families whose generators, photographs and contents the detector has never seen.
python -m cnndetect.zoo build-suite --photos "$work/free/suite" --attribution "$work/free/attribution.json" --out benchmarks/mini \
  --generator "$work/zoo/sitd/generator.pt" --generator "$work/zoo/san/generator.pt" --generator "$work/zoo/crn/generator.pt"

# One byte per weight, with what that does to the validation logits; the printed SHA-256 goes into the weights registry.
cnndetect detectors pack "$work/runs/progan2-r50-bj01/best.safetensors" weights/progan2-r50-bj01.safetensors \
  --compare "$work/training/val"

# The tables.
for detector in progan2-r50-bj01 cnndetect.detectors.networks.baselines:smoothness; do
  for protocol in nocrop crop224; do
    python -m cnndetect.bench --suite mini --detector "$detector" --protocol "$protocol" --results benchmarks/results
  done
done
python -m cnndetect.bench leaderboard --out benchmarks/LEADERBOARD.md
