#!/bin/bash
# Installs what building and testing Martlet needs on Debian 12, and only what is missing.
#
#   Deploy/setup.sh           to build the server and the C client
#   Deploy/setup.sh --tests   and Python's venv and the openssl command, for the end-to-end tests
set -euo pipefail

# git: SwiftPM fetches with it. The last four are the C client's (libprotobuf-dev has google/protobuf/wrappers.proto).
packages=(git pkg-config libnghttp2-dev libssl-dev libopenblas-dev zlib1g-dev gcc make libprotobuf-c-dev protobuf-c-compiler libprotobuf-dev)
[ "${1:-}" = --tests ] && packages+=(python3 python3-venv python3-pip openssl curl)

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "These packages are needed, and there is no apt-get here to install them: ${missing[*]}" >&2; exit 1; }
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Neither root nor sudo: as root, run  apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v swift >/dev/null || { echo "There is no swift on the PATH: install Swift 6.3 for Debian 12 from https://www.swift.org/install/linux" >&2; exit 1; }
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -1)
if [ "$(printf '6.3\n%s\n' "$version" | sort -V | head -1)" != 6.3 ]; then
  echo "Swift $version is too old: Martlet needs 6.3" >&2
  exit 1
fi
