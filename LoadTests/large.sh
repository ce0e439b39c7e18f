#!/usr/bin/env bash
# A large request, 602 KB of float tensor (an image for mobilenet), answered with a constant of 4 KB: server CPU per call beside
# gRPC C++ and beside an epoll server that reads as many bytes: `echo` as they come, `echo-gather` as we do, when many are
# there (SO_RCVLOWAT). It is memory bandwidth and wake-ups.
#
#   LoadTests/large.sh
#   MODEL=resnet50 LAYOUTS="4x1" LoadTests/large.sh      another model's request and answer
#
# Wanted: at most a quarter of gRPC C++.
set -euo pipefail
source "$(dirname "$0")/common.bash"
bin=$(build noop-server echo-server rpc-load)
model=${MODEL:-mobilenet_v2}
ours=("$bin/noop-server" --port="$port" --response-bytes="$(stat -c %s "$peers/zoo/ref/$model.response.pb")")
frame "$peers/zoo/ref/$model.request.pb" >"$work/body"
tap "${ours[@]}"
for ((round = 0; round < rounds; round++)); do
  for layout in ${LAYOUTS:-4x4 4x1 1x1}; do
    calls=${CALLS:-1500}
    burst martlet "$layout" "$calls" http "${ours[@]}"
    echo_burst echo "$layout" "$calls"
    echo_burst echo-gather "$layout" "$calls" --gather=524288
    have_peers || continue
    for mode in ${MODES:-sync cb cq}; do burst "grpc-$mode" "$layout" "$calls" http $(grpc "$mode" "$model"); done
  done
done
echo "a call: $request_bytes bytes in, $response_bytes out; medians of $rounds rounds"
table martlet 4x4=4 4x1=4 1x1=4
