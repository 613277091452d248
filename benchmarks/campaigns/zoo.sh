#!/usr/bin/env bash
# From photographs to the generators of the eleven families, the three beside them, ProGANs of eight categories and the embedded suite, on
# two CPU cores: two trainings run at a time and each resumes.
#   benchmarks/campaigns/zoo.sh PHOTOS PACKAGES WORK [RECIPE]
# PHOTOS:   one folder of numbered 256 px photographs per category (cat/, dog/ ...); the split goes by file number.
# PACKAGES: one folder per Debian package, made with: apt-get download NAME && dpkg-deb -x NAME_*.deb PACKAGES/NAME
#           (the names: cnndetect/zoo/photographs/free_photos.py).
# WORK:     everything that is made on the way.
# RECIPE:   cpu (what was run, about six hours of one core) or gpu (then give DEVICE=cuda; never run so far).
set -euo pipefail
photos=$1 packages=$2 work=$3 recipe=${4:-cpu} device=${DEVICE:-cpu}
export OMP_NUM_THREADS=1
categories="cat dog scene clothing monkey kitchen bedroom house_front"

# Free photographs: 128 px crops, to train on and to show; again with 30 crops of each for the suite of 1,000 + 1,000.
python -m cnndetect.zoo photos --packages "$packages" --out "$work/free"
python -m cnndetect.zoo photos --packages "$packages" --per-photo 30 --out "$work/free-1000"

train() { python -m cnndetect.zoo train "$@" --recipe "$recipe" --device "$device" --seed 0 --out "$work/zoo/$1"; }
queue() { while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done; "$@" & }

# The suite's families see the photographs that are not shown and nothing else. From noise: not shown, but ProGANs continue the first one.
train progan --photos "$work/free/generators"
for family in stylegan biggan cyclegan stargan gaugan crn imle sitd san deepfake stylegan2 dcgan; do
  queue train "$family" --photos "$work/free/generators"
done

wait

# SITD and SAN go on with a recipe of their own: after the first they restore a photograph worse than a simple rule does
# (benchmarks/campaigns/restoration.py).
for family in sitd san; do
  queue python -m cnndetect.zoo train "$family" --photos "$work/free/generators" --recipe "$recipe-tune" --device "$device" \
    --start "$work/zoo/$family/generator.pt" --seed 0 --out "$work/zoo/$family-tune"
done

# ProGANs of the detector's training set: each continues the one above on the training photographs of its category.
for name in $categories; do
  queue python -m cnndetect.zoo train progan --photos "$photos/$name" --split train --recipe "$recipe-tune" --device "$device" \
    --start "$work/zoo/progan/checkpoint.pt" --seed 0 --out "$work/zoo/progan_$name"
done

# The simulator is a source of training images, so it sees training photographs.
queue python -m cnndetect.zoo train autogan --photos "$photos/scene" --split train --recipe "$recipe" --device "$device" --out "$work/zoo/autogan"
wait

# Decoders that paint photographs again: the suite's ProGAN, StyleGAN and BigGAN.
scripts/campaigns/run --plan scripts/campaigns/suite.json --photos "$work/free/generators" --out "$work/suite-decoders"

# The embedded suite, from packed generators.
mkdir -p "$work/packed"
makers=()
for family in cyclegan stargan gaugan crn imle sitd san deepfake; do
  trained="$work/zoo/$family-tune/generator.pt"
  [ -f "$trained" ] || trained="$work/zoo/$family/generator.pt"
  python -m cnndetect.zoo pack "$trained" --out "$work/packed/$family.pt"
  makers+=(--generator "$work/packed/$family.pt")
done
# Decoders of one family take turns in the order of the plan.
for name in $(python -c "import json; print(*(one['name'] for one in json.load(open('scripts/campaigns/suite.json'))['decoders']))"); do
  makers+=(--resynthesiser "$work/suite-decoders/$name/resynthesiser.pt")
done
python -m cnndetect.zoo build-suite --photos "$work/free" --attribution "$work/free/attribution.json" "${makers[@]}" --count 100 --out "$work/mini"
python -m cnndetect.data pack "$work/mini" --out benchmarks/mini

# The same families with 1,000 fakes and 1,000 reals, not shipped, and their distances.
python -m cnndetect.zoo build-suite --photos "$work/free-1000" "${makers[@]}" --count 1000 --out "$work/suite-1000"
python -m cnndetect.zoo distance "$work/suite-1000" --floor "$work/free-1000/generators"

# The detector's training set: photographs, mirror images and two native crops of each, and as many fakes.
pairs=()
for name in $categories; do pairs+=(--generator "$name=$work/zoo/progan_$name/generator.pt"); done
python -m cnndetect.zoo build-training --photos "$photos" "${pairs[@]}" --per-category 4000 --native-crops 2 --out "$work/training"
