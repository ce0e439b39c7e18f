#!/usr/bin/env bash
# Server CPU per Predict, beside gRPC C++ with TensorFlow's C API (`sync` has the shape of TensorFlow Serving), interleaved
# burst by burst, every answer checked. The server runs on core 0, h2load on core 1.
#
#   LoadTests/predict.sh                         half_plus_two and mlp_small at 1, 16 and 64 requests in flight
#   MODELS=mlp_wide CONC=16 LoadTests/predict.sh
#
# PEERS names the folder where the peers were built; the last column of each row is the ratio to `sync`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
peers=${PEERS:-$HOME/.cache/martlet-peers}
[ -x "$peers/run_ab.sh" ] || { echo "no peers in $peers: build them first, or name their folder in PEERS" >&2; exit 1; }
swift build --package-path "$root" -c release --product martlet-server
server="$root/.build/release/martlet-server --event_loops=1 --port={port} --model_name={model} --model_base_path={zoo}/{model}"
cd "$peers"
MINE="martlet=$server" MODELS=${MODELS:-half_plus_two,mlp_small} CONC=${CONC:-1,16,64} SETS=${SETS:-pin} \
  ROUNDS=${ROUNDS:-7} SECS=${SECS:-0.4} ./run_ab.sh
