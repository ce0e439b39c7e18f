#!/usr/bin/env bash
# What the transport costs: server CPU per unary call answered with a constant, beside gRPC C++'s no-op servers and beside
# an epoll server that moves as many bytes without any protocol, interleaved round by round.
#
#   LoadTests/noop.sh                              64, 16 and 1 calls in flight
#   LAYOUTS="8x8" ROUNDS=9 LoadTests/noop.sh       layouts are connections x streams
#   ALLOCATIONS=1 LoadTests/noop.sh                allocations per call instead, ours and nghttp2's
#
# Wanted: at most a fifth of gRPC C++ at 64 in flight, at most half at one. PEERS names the folder with the gRPC servers.
set -euo pipefail
source "$(dirname "$0")/common.bash"
bin=$(build noop-server echo-server rpc-load)
ours=("$bin/noop-server" --port="$port")
frame "${BODY:-$peers/zoo/ref/half_plus_two.request.pb}" >"$work/body"

if [ -n "${ALLOCATIONS:-}" ]; then
  cc -O2 -shared -fPIC -o "$work/count.so" "$root/Tests/EndToEnd/malloc_count.c" -ldl
  for calls in 20000 60000; do
    LD_PRELOAD="$work/count.so" "${ours[@]}" >/dev/null 2>"$work/$calls" & server=$!
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05; done
    h2 "$calls" 4x8 >/dev/null
    stop
  done
  paste -d' ' "$work/20000" "$work/60000" | tr '=' ' ' |
    awk '{printf "allocations per call: ours %.4f, nghttp2 %.4f\n", ($10-$3)/40000, ($12-$5)/40000}'
  exit
fi

tap "${ours[@]}"
for ((round = 0; round < rounds; round++)); do
  for layout in ${LAYOUTS:-8x8 4x4 1x1}; do
    calls=${CALLS:-$([ "$layout" = 1x1 ] && echo 5000 || echo 50000)}
    burst martlet "$layout" "$calls" http "${ours[@]}"
    echo_burst echo "$layout" "$calls"
    have_peers || continue
    for mode in ${MODES:-sync cb cq}; do burst "grpc-$mode" "$layout" "$calls" http $(grpc "$mode"); done
  done
done
echo "a call: $request_bytes bytes in, $response_bytes out; medians of $rounds rounds"
table martlet 8x8=5 1x1=2
