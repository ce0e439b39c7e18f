#!/usr/bin/env bash
# Latency at a rate that both servers hold, from eight connections that each begin calls at their pace (h2load --rps). Ours
# beside gRPC C++'s no-op servers, interleaved; the median round of each.
#
#   LoadTests/latency.sh                      half of what gRPC C++ can do on one core
#   RATE=20000 SECONDS_EACH=3 LoadTests/latency.sh
#
# Wanted: a p99 no worse than gRPC C++'s.
set -euo pipefail
source "$(dirname "$0")/common.bash"
bin=$(build noop-server)
body=${BODY:-$peers/zoo/ref/half_plus_two.request.pb}
frame "$body" >"$work/body"
rate=${RATE:-}
if [ -z "$rate" ]; then
  have_peers || { echo "RATE must be given where there is no gRPC server to take half of" >&2; exit 1; }
  start $(grpc cb)
  h2 2000 8x8 >/dev/null
  rate=$(h2 40000 8x8 | awk '/finished in/ { printf "%d", $4 / 2 }')
  stop
fi
open_loop() { # label command...
  local label=$1 calls=$((rate * ${SECONDS_EACH:-2})) each=$((rate / 8))
  shift
  start "$@"
  h2 2000 8x8 >/dev/null
  rm -f "$work/log"
  timeout 120 taskset -c 1 h2load -n "$calls" -c 8 -m 64 -t 1 --rps="$each" --log-file="$work/log" -d "$work/body" -w 24 -W 24 \
    -H te:trailers -H content-type:application/grpc "http://127.0.0.1:$port$path" >"$work/report"
  stop
  local seconds
  seconds=$(awk '/finished in/ { print $4 }' "$work/report")
  cut -f3 "$work/log" | sort -n | awk -v l="$label" -v r="$seconds" '
    { v[NR] = $1 } END { print l, v[int(NR * 0.5)], v[int(NR * 0.99)], v[int(NR * 0.999)], r + 0 }' >>"$work/rows"
}
for ((round = 0; round < rounds; round++)); do
  open_loop martlet "$bin/noop-server" --port="$port"
  have_peers || continue
  for mode in ${MODES:-sync cb cq}; do open_loop "grpc-$mode" $(grpc "$mode"); done
done
echo "$rate calls per second wanted, 8 connections; medians of $rounds rounds, us"
printf "%-12s %10s %10s %10s %10s\n" server p50 p99 p99.9 calls/s
for server in $(cut -d' ' -f1 "$work/rows" | sort -u); do
  for column in 2 3 4 5; do
    grep "^$server " "$work/rows" | cut -d' ' -f$column | sort -n | awk '{ v[NR] = $1 } END { printf "%s ", v[int((NR + 1) / 2)] }'
  done | awk -v s="$server" '{ printf "%-12s %10.0f %10.0f %10.0f %10.0f\n", s, $1, $2, $3, $4 }'
done
