#!/usr/bin/env bash
# What TLS 1.3 costs a small call: our server plain and with a certificate, interleaved.
#
#   LoadTests/tls.sh
#
# Wanted: at most 1.4 times the plain figure.
set -euo pipefail
source "$(dirname "$0")/common.bash"
need openssl "apt-get install openssl"
bin=$(build noop-server rpc-load)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
frame "${BODY:-$peers/zoo/ref/half_plus_two.request.pb}" >"$work/body"
for ((round = 0; round < rounds; round++)); do
  for layout in ${LAYOUTS:-8x8 4x4 1x1}; do
    calls=${CALLS:-$([ "$layout" = 1x1 ] && echo 5000 || echo 50000)}
    burst plain "$layout" "$calls" http "$bin/noop-server" --port="$port"
    burst tls "$layout" "$calls" https "$bin/noop-server" --port="$port" --certificate="$work/cert.pem" --key="$work/key.pem"
  done
done
table plain
echo "wanted: at most 1.40 times plain"
