#!/bin/bash
# Sets up and passes all tests, from a clean machine: Debian 12 with Swift 6.3.
#
#   Tests/run.sh
#
# The first failing step ends the run. Python's packages live in .venv, and are installed again only when the requirements change.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
step() { printf '\n==> %s  [%d s]\n' "$*" $((SECONDS - began)); }
trap 'status=$?; [ $status -eq 0 ] || printf "\n==> FAILED in the step above (exit %d)\n" $status >&2' EXIT

step "Debian packages"
Deploy/setup.sh --tests

step "Swift tests: build"
swift build --build-tests

step "Swift tests: run"
# Most wait for a peer; more of them at once than this, and time-outs that guard them pass for want of a CPU.
SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8 swift test --skip-build --parallel

step "Fuzz targets: the corpus and a short run (longer: Tests/Fuzz/run.sh SECONDS)"
Tests/Fuzz/run.sh 5

step "Server: release build"
swift build -c release --product martlet-server
swift build -c release --product martlet-predict

step "Interoperability: gRPC's test service and client on our RPC"
swift build --product interop-server
swift build --product interop-client

step "C client: build"
make --silent -C Deploy/Examples/c-client OUT="$PWD/.build/c-client"

step "TensorFlow Serving's own client, from PyPI"
Tests/EndToEnd/venv.sh

step "End-to-end tests"
.venv/bin/python -m pytest Tests/EndToEnd -q --durations=5

step "All passed"
