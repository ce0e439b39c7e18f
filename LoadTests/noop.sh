#!/usr/bin/env bash
# What the transport costs: server CPU per unary call answered with a constant, beside gRPC C++'s no-op servers, interleaved
# round by round because machines change speed within seconds. Server on core 0, h2load on core 1.
#
#   LoadTests/noop.sh                              64, 16 and 1 calls in flight
#   LAYOUTS="8x8" ROUNDS=9 LoadTests/noop.sh
#   BODY=/path/to/message.pb LAYOUTS="4x4" CALLS=4000 LoadTests/noop.sh     a larger request
#   ALLOCATIONS=1 LoadTests/noop.sh                allocations per call instead, ours and nghttp2's
#
# PEERS names the folder where the peers were built.
set -euo pipefail
cd "$(dirname "$0")"
peers=${PEERS:-$HOME/.cache/martlet-peers}
body=${BODY:-$peers/zoo/ref/half_plus_two.request.pb}
port=${PORT:-18700}
path=/tensorflow.serving.PredictionService/Predict
swift build -c release --product noop-server >&2
ours="$(swift build -c release --show-bin-path)/noop-server"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The five bytes before a message, then the message.
{ printf '\0'; printf "%08x" "$(stat -c %s "$body")" | sed 's/../\\x&/g' | xargs -0 printf '%b'; cat "$body"; } >"$work/body"

load() { # calls connections streams
  taskset -c 1 h2load -n "$1" -c "$2" -m "$3" -t 1 -d "$work/body" -w 24 -W 24 -H te:trailers \
    -H content-type:application/grpc "http://127.0.0.1:$port$path"
}

wait_for_port() { until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05; done; }

if [ -n "${ALLOCATIONS:-}" ]; then
  cc -O2 -shared -fPIC -o "$work/count.so" malloc_count.c -ldl
  for calls in 20000 60000; do
    LD_PRELOAD="$work/count.so" "$ours" --port="$port" >/dev/null 2>"$work/$calls" & server=$!
    wait_for_port
    load "$calls" 4 8 >/dev/null
    kill "$server"; wait "$server" || true
  done
  paste -d' ' "$work/20000" "$work/60000" | tr '=' ' ' |
    awk '{printf "allocations per call: ours %.4f, nghttp2 %.4f\n", ($10-$3)/40000, ($12-$5)/40000}'
  exit
fi

measure() { # label layout command...
  local label=$1 layout=$2 calls; shift 2
  calls=${CALLS:-$([ "$layout" = 1x1 ] && echo 8000 || echo 60000)}
  (cd "$peers" && exec taskset -c 0 "$@") >/dev/null 2>&1 & local server=$!
  wait_for_port
  load 2000 "${layout%x*}" "${layout#*x}" >/dev/null
  local before after
  before=$(awk '{print $14+$15}' "/proc/$server/stat")
  load "$calls" "${layout%x*}" "${layout#*x}" | awk '/finished in/{print $4}' >"$work/rate"
  after=$(awk '{print $14+$15}' "/proc/$server/stat")
  kill "$server"; wait "$server" 2>/dev/null || true
  awk -v l="$label" -v s="$layout" -v t=$((after - before)) -v n="$calls" -v hz="$(getconf CLK_TCK)" -v r="$(cat "$work/rate")" \
    'BEGIN{printf "%s %s %.2f %s\n", s, l, t*1e6/hz/n, r}' >>"$work/rows"
}

for ((round = 0; round < ${ROUNDS:-5}; round++)); do
  for layout in ${LAYOUTS:-8x8 4x4 1x1}; do
    measure martlet "$layout" "$ours" --port="$port"
    for mode in ${MODES:-sync cb cq}; do
      x=--mode=$mode; [ "$mode" = sync ] && x=
      measure "grpc-$mode" "$layout" bin/floor_server --models=half_plus_two --port="$port" --noop $x
    done
  done
done
echo "connections x streams, server, median CPU us per call, calls/s of that round"
sort -k1,1 -k2,2 -k3,3n "$work/rows" | awk '
  function flush() { if (n) printf "%-6s %-10s %8.2f %10.0f\n", layout, server, cpu[int((n + 1) / 2)], rate[int((n + 1) / 2)]; n = 0 }
  $1 != layout || $2 != server { flush(); layout = $1; server = $2 }
  { n++; cpu[n] = $3; rate[n] = $4 + 0 }
  END { flush() }'
