#!/usr/bin/env bash
# Latency at a rate that both servers hold, over eight connections. Ours beside gRPC C++'s no-op servers, interleaved; the median
# round of each. h2load begins calls at each connection's pace (--rps) and counts from when they were sent; rpc-load counts from
# when they should have been, so that a server that stalls shows it in every call that fell into the stall.
#
#   LoadTests/latency.sh                      half of what gRPC C++ can do on one core
#   RATE=20000 SECONDS_EACH=3 LoadTests/latency.sh
#
# Wanted: a p99 no worse than gRPC C++'s.
set -euo pipefail
source "$(dirname "$0")/common.bash"
bin=$(build noop-server rpc-load)
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
  local label=$1 generator
  shift
  for generator in $generators; do
    start "$@"
    h2 2000 8x8 >/dev/null
    "paced_by_${generator%-*}" | sed "s/^/$label,$generator /" >>"$work/rows"
    stop
  done
}
# p50, p99, p99.9 in us, calls per second
paced_by_h2load() {
  rm -f "$work/log"
  timeout 120 taskset -c 1 h2load -n $((rate * ${SECONDS_EACH:-2})) -c 8 -m 64 -t 1 --rps=$((rate / 8)) --log-file="$work/log" \
    -d "$work/body" -w 24 -W 24 -H te:trailers -H content-type:application/grpc "http://127.0.0.1:$port$path" >"$work/report"
  cut -f3 "$work/log" | sort -n | awk -v r="$(awk '/finished in/ { print $4 }' "$work/report")" '
    { v[NR] = $1 } END { print v[int(NR * 0.5)], v[int(NR * 0.99)], v[int(NR * 0.999)], r + 0 }'
}
paced_by_rpc() {
  rpc 8x64 http --rate="$rate" --warmup=0.5 --seconds="${SECONDS_EACH:-2}" >"$work/report" || failed rpc-load
  sed 's/.*per_second=\([0-9]*\).* p50_us=\([0-9.]*\).* p99_us=\([0-9.]*\) p999_us=\([0-9.]*\).*/\2 \3 \4 \1/' "$work/report"
}
for ((round = 0; round < rounds; round++)); do
  open_loop martlet "$bin/noop-server" --port="$port"
  have_peers || continue
  for mode in ${MODES:-sync cb cq}; do open_loop "grpc-$mode" $(grpc "$mode"); done
done
echo "$rate calls per second wanted, 8 connections; medians of $rounds rounds, us"
printf "%-20s %10s %10s %10s %10s\n" server p50 p99 p99.9 calls/s
for server in $(cut -d' ' -f1 "$work/rows" | sort -u); do
  for column in 2 3 4 5; do
    grep "^$server " "$work/rows" | cut -d' ' -f$column | sort -n | awk '{ v[NR] = $1 } END { printf "%s ", v[int((NR + 1) / 2)] }'
  done | awk -v s="$server" '{ printf "%-20s %10.0f %10.0f %10.0f %10.0f\n", s, $1, $2, $3, $4 }'
done
