#!/bin/sh
# Makes a base image of Debian's own packages, for machines from which no registry of images can be reached:
#
#   sudo ./debian.sh my-debian          needs debootstrap; about a minute
#   docker build --network host --build-arg BASE=my-debian -t decision-trees .
set -eu
name=${1:-my-debian}
suite=${SUITE:-bookworm}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,nginx-light "$suite" "$root" ${MIRROR:+"$MIRROR"}
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" . |
  docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$name"
