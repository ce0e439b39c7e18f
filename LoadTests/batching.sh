#!/usr/bin/env bash
# What batching saves: the 256-1024-1024-128 MLP with 64 requests of one row in flight, with and without --enable_batching, beside gRPC
# C++ with TensorFlow's C API, which runs them one by one (`sync` has the shape of TensorFlow Serving without batching). Interleaved burst by
# burst, every answer's size checked, requests per second of server CPU in the last lines. The server has core 0, h2load core 1.
#
#   LoadTests/batching.sh
#   MODELS=mlp_small CONC=16 LoadTests/batching.sh
#
# PEERS names the folder where the peers were built.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
peers=${PEERS:-$HOME/.cache/martlet-peers}
[ -x "$peers/bin/floor_server" ] || { echo "no peers in $peers: build them first, or name their folder in PEERS" >&2; exit 1; }
swift build --package-path "$root" -c release --product martlet-server
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# No timeout: while one batch runs, the next gathers.
cat > "$scratch/batching.txt" <<'END'
max_batch_size { value: 64 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 1 }
max_enqueued_batches { value: 1000 }
END
server="$root/.build/release/martlet-server --event_loops=1 --port={port} --model_name={model} --model_base_path={zoo}/{model}"
cd "$peers"
. venv/bin/activate
python tools/ab.py --pin --models "${MODELS:-mlp_wide}" --conc "${CONC:-64}" --rounds "${ROUNDS:-7}" --secs "${SECS:-0.5}" \
  --json "$scratch/cells.jsonl" --server "sync=bin/floor_server --models={model} --port={port}" --server "martlet=$server" \
  --server "batched=$server --enable_batching=true --batching_parameters_file=$scratch/batching.txt"
python - "$scratch/cells.jsonl" <<'END'
import json, sys
cells = {}
for line in open(sys.argv[1]):
    cell = json.loads(line)
    cells.setdefault((cell["model"], cell["conc"]), []).append(cell)
for (model, conc), row in cells.items():
    print(f"\n{model}, {conc} in flight")
    for cell in row:
        print(f"  {cell['label']:8} {1e6 / cell['cpu']:8.0f} requests per CPU second ({row[0]['cpu'] / cell['cpu']:.2f}x)   p50 {cell['p50'] / 1000:6.2f} ms   p99 {cell['p99'] / 1000:6.2f} ms")
END
