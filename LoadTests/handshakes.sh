#!/usr/bin/env bash
# What a flood of TLS handshakes does to a connection that is there already: latencies of calls on four connections, one after the
# other on each, quiet and while a client of no good intentions sends the same hello again and again and leaves (an RSA signature
# of the server's each). `unbounded` is our server with handshakes done as they come.
#
#   LoadTests/handshakes.sh
#
# Wanted: under the flood no more than a handshake or two (about 1 ms each on one core) above quiet.
set -euo pipefail
source "$(dirname "$0")/common.bash"
need openssl "apt-get install openssl"
bin=$(build noop-server rpc-load)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
frame "${BODY:-$peers/zoo/ref/half_plus_two.request.pb}" >"$work/body"
cat >"$work/flood.py" <<'PYTHON'
import os, select, socket, ssl, sys
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
hello, port, width, made, waiting = outgoing.read(), int(sys.argv[1]), int(sys.argv[2]), 0, {}
poll = select.epoll()
print("ready", flush=True)
import signal
def end(*_):
    print(made, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    while len(waiting) < width:
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(hello)
        poll.register(s, select.EPOLLIN)
        waiting[s.fileno()] = s
    for fd, _ in poll.poll():
        try:
            made += len(waiting[fd].recv(65536)) > 100
        except OSError:
            pass
        waiting.pop(fd).close()
PYTHON
measure() { # label share
  start "$bin/noop-server" --port="$port" --certificate="$work/cert.pem" --key="$work/key.pem" --chore-microseconds="$2"
  local flood= seconds=${SECONDS_EACH:-2} made=0
  if [ "$1" != quiet ]; then
    taskset -c 1 nice -n 5 python3 "$work/flood.py" "$port" "${WIDTH:-200}" >"$work/made" & flood=$!
    servers+=("$flood")
    until grep -q ready "$work/made"; do sleep 0.05; done
  fi
  rpc 4x1 https --seconds="$seconds" --warmup=0.5 >"$work/report" || failed "$1"
  if [ -n "$flood" ]; then
    kill "$flood"
    wait "$flood" 2>/dev/null || true
    made=$(tail -1 "$work/made")
  fi
  stop
  sed 's/.*per_second=\([0-9]*\).* p50_us=\([0-9.]*\).* p99_us=\([0-9.]*\) p999_us=\([0-9.]*\).*/\2 \3 \4 \1/' "$work/report" |
    sed "s/^/$1 /; s/\$/ $made/" >>"$work/rows"
}
for ((round = 0; round < ${ROUNDS:-5}; round++)); do
  measure quiet 250
  measure flood 250
  measure unbounded 1000000000
done
printf "%-12s %10s %10s %10s %10s %12s\n" "" "p50 us" p99 p99.9 calls/s handshakes
for label in quiet flood unbounded; do
  for column in 2 3 4 5 6; do
    grep "^$label " "$work/rows" | cut -d' ' -f$column | sort -n | awk '{ v[NR] = $1 } END { printf "%s ", v[int((NR + 1) / 2)] }'
  done | awk -v s="$label" '{ printf "%-12s %10.0f %10.0f %10.0f %10.0f %12.0f\n", s, $1, $2, $3, $4, $5 }'
done
