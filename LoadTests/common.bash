# Shared by the load scripts: servers on core 0, load on core 1, CPU read in nanoseconds from the scheduler, medians over
# interleaved rounds because machines change speed within seconds.
#
# Rows are "layout server value rate"; `table` turns them into medians with ratios to the row named in its first argument.
# Load comes from h2load and from our own generator, `GENERATORS="h2load rpc-load"`; layouts driven by the second are marked.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=${PEERS:-$HOME/.cache/martlet-peers}
port=${PORT:-18700}
rounds=${ROUNDS:-7}
generators=${GENERATORS:-h2load rpc-load}
path=/tensorflow.serving.PredictionService/Predict
work=$(mktemp -d)
servers=()
finish() {
  for pid in "${servers[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap finish EXIT

need() { command -v "$1" >/dev/null || { echo "$1 is needed: $2" >&2; exit 1; }; }
need h2load "apt-get install nghttp2-client"
have_peers() { [ -x "$peers/bin/floor_server" ]; }
have_peers || echo "no gRPC C++ servers in $peers (PEERS names the folder where they were built): ours alone" >&2

# Builds what is named and prints the folder it is in.
build() {
  for product in "$@"; do swift build --package-path "$root/LoadTests" -c release --product "$product" >&2; done
  swift build --package-path "$root/LoadTests" -c release --show-bin-path
}

# The five bytes before a message, then the message.
frame() { # message file
  message=$1
  printf '\0'
  printf "%08x" "$(stat -c %s "$1")" | sed 's/../\\x&/g' | xargs -0 printf '%b'
  cat "$1"
}

# Nanoseconds on a CPU. Ours by the scheduler's clock, thread by thread; gRPC's threads come and go and take their time with
# them, so there the process's own sum, in hundredths of a second.
cpu_ns() { # process label
  case $2 in
    grpc*) awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%d", ($12 + $13) * 1e9 / hz }' "/proc/$1/stat" ;;
    *) cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum }' ;;
  esac
}

start() { # command...: runs it on core 0, sets `server`, and waits for its port
  (cd "$peers" 2>/dev/null || cd /; exec taskset -c 0 "$@") >/dev/null 2>&1 &
  server=$!
  servers=("$server")
  for _ in $(seq 400); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "no server on port $port: $*" >&2
  exit 1
}

stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  servers=()
}

grpc() { # mode [model]: the command of a gRPC C++ server, which answers this model's requests and no other's
  local mode=--mode=$1
  [ "$1" = sync ] && mode=
  echo bin/floor_server --models="${2:-half_plus_two}" --port="$port" --noop $mode
}

h2() { # calls layout scheme: h2load's report
  timeout 120 taskset -c 1 h2load -n "$1" -c "${2%x*}" -m "${2#*x}" -t 1 -d "$work/body" -w 24 -W 24 -H te:trailers \
    -H content-type:application/grpc "${3:-http}://127.0.0.1:$port$path"
}

# Our own generator, likewise; further arguments are its options.
rpc() { # layout scheme options...
  local tls=()
  [ "$2" = https ] && tls=(--tls --ca="$work/cert.pem" --server-name=localhost)
  timeout 120 taskset -c 1 "$bin/rpc-load" --target="127.0.0.1:$port" --path=$path --body="$message" --connections="${1%x*}" \
    --streams="${1#*x}" "${tls[@]}" "${@:3}"
}

# One burst against a server: a row with CPU microseconds per call for each generator.
burst() { # label layout calls scheme command...
  local label=$1 layout=$2 calls=$3 scheme=$4 generator before after rate mark
  shift 4
  for generator in $generators; do
    start "$@"
    case $generator in
      h2load)
        mark=
        h2 $((calls / 20 + 200)) "$layout" "$scheme" >/dev/null
        before=$(cpu_ns "$server" "$label")
        h2 "$calls" "$layout" "$scheme" >"$work/report"
        after=$(cpu_ns "$server" "$label")
        grep -q " $calls succeeded" "$work/report" || failed "$label"
        rate=$(awk '/finished in/{print $4}' "$work/report")
        ;;
      rpc-load)
        mark=,rpc-load
        rpc "$layout" "$scheme" --calls=$((calls / 20 + 200)) >"$work/report" || failed "$label"
        before=$(cpu_ns "$server" "$label")
        rpc "$layout" "$scheme" --calls="$calls" >"$work/report" || failed "$label"
        after=$(cpu_ns "$server" "$label")
        rate=$(sed 's/.*per_second=\([0-9]*\).*/\1/' "$work/report")
        ;;
    esac
    stop
    awk -v l="$label" -v s="$layout$mark" -v ns=$((after - before)) -v n="$calls" -v r="$rate" \
      'BEGIN { printf "%s %s %.3f %s\n", s, l, ns / 1000 / n, r }' >>"$work/rows"
  done
}

failed() {
  echo "$1: not every call succeeded" >&2
  cat "$work/report" >&2
  exit 1
}

# What the kernel takes for as many bytes: see Sources/echo-server.
echo_burst() { # label layout calls options...
  local label=$1 before after
  shift
  start "$bin/echo-server" serve --port="$port" --request="$request_bytes" --response="$response_bytes" "${@:3}"
  local drive=(timeout 120 taskset -c 1 "$bin/echo-server" drive --port="$port" --request="$request_bytes"
    --response="$response_bytes" --connections="${1%x*}" --streams="${1#*x}")
  "${drive[@]}" --calls=$(($2 / 20 + 200)) >/dev/null
  before=$(cpu_ns "$server" echo)
  "${drive[@]}" --calls="$2" >"$work/report"
  after=$(cpu_ns "$server" echo)
  stop
  awk -v l="$label" -v s="$1" -v ns=$((after - before)) -v n="$2" -v r="$(awk '{print $3}' "$work/report")" \
    'BEGIN { printf "%s %s %.3f %s\n", s, l, ns / 1000 / n, r }' >>"$work/rows"
}

# Bytes of one request and one response on the wire, taken between our server and h2load: sets request_bytes, response_bytes.
tap() { # server command...
  local calls front=$((port + 1))
  for calls in 101 201; do
    start "$@"
    timeout 60 "$bin/echo-server" tap --port=$front --upstream="$port" >"$work/tap.$calls" & local tapped=$!
    sleep 0.3
    port=$front h2 "$calls" 1x1 >/dev/null
    wait "$tapped"
    stop
  done
  read -r request_bytes response_bytes < <(paste -d' ' "$work/tap.101" "$work/tap.201" |
    awk '{ printf "%d %d\n", ($3 - $1) / 100 + 0.5, ($4 - $2) / 100 + 0.5 }')
}

# Medians, the least and most of each, and how many times `base` they are.
#   bars: "layout=ratio" pairs: what base's cheapest peer must at least be, as a multiple of base.
table() { # base bars...
  local base=$1
  shift
  sort -k1,1 -k2,2 -k3,3n "$work/rows" | awk -v base="$base" -v bars="$*" '
    function flush() {
      if (!n) return
      key = layout SUBSEP server
      median[key] = value[int((n + 1) / 2)]; low[key] = value[1]; high[key] = value[n]; per[key] = rate[int((n + 1) / 2)]
      if (!(layout in seen)) { seen[layout] = 1; layouts[++count] = layout }
      names[layout] = names[layout] " " server
      n = 0
    }
    $1 != layout || $2 != server { flush(); layout = $1; server = $2 }
    { n++; value[n] = $3; rate[n] = $4 + 0 }
    END {
      flush()
      split(bars, list, " ")
      for (i in list) { split(list[i], pair, "="); bar[pair[1]] = pair[2] }
      printf "%-14s %-12s %10s %19s %10s %9s\n", "layout", "server", "CPU us", "least..most", "calls/s", "x " base
      for (i = 1; i <= count; i++) {
        l = layouts[i]; best = 0
        k = split(names[l], name, " ")
        for (j = 1; j <= k; j++) {
          key = l SUBSEP name[j]
          printf "%-14s %-12s %10.2f %9.2f..%-8.2f %10.0f %9.2f\n", l, name[j], median[key], low[key], high[key], per[key], median[key] / median[l, base]
          if (name[j] ~ /^grpc/ && (!best || median[key] < best)) best = median[key]
        }
        plain = l; sub(/,.*/, "", plain)
        if ((plain in bar) && best)
          printf "%-14s gRPC C++ at its best takes %.2f times as much; wanted: at least %s  %s\n", l, best / median[l, base], bar[plain], (best / median[l, base] >= bar[plain] ? "reached" : "MISSED")
      }
    }'
}
