#!/bin/bash
# Our parser beside protobuf C++ and protobuf-c on the same payloads, one after the other on one core.
# Machines change speed within seconds, so ours runs before, between and after the others and its median counts.
#
#   LoadTests/parser.sh
#
# PEERS is where the other parsers were built; see the peers' own README for how.
set -euo pipefail
cd "$(dirname "$0")"
PEERS="${PEERS:-$HOME/.cache/martlet-peers}"
[ -x "$PEERS/bin/pbbench" ] || { echo "no $PEERS/bin/pbbench: set PEERS to where the other parsers are built" >&2; exit 1; }
swift build -c release --product parser-bench >&2
BENCH="$PWD/$(swift build -c release --show-bin-path | sed "s|^$PWD/||")/parser-bench"
[ -x "$BENCH" ] || BENCH="$(swift build -c release --show-bin-path)/parser-bench"
cd "$PEERS"
[ -f payloads/d.pb ] || venv/bin/python tools/mk_payloads.py >/dev/null
PIN=(taskset -c "${CORE:-1}")
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
"${PIN[@]}" "$BENCH" payloads >"$OUT/ours.1"
"${PIN[@]}" bin/pbbench >"$OUT/cpp"
"${PIN[@]}" "$BENCH" payloads >"$OUT/ours.2"
"${PIN[@]}" bin/pbcbench >"$OUT/c"
"${PIN[@]}" "$BENCH" payloads >"$OUT/ours.3"
awk '
  function figure(line) { match(line, /median +[0-9.]+/); return substr(line, RSTART + 6, RLENGTH - 6) + 0 }
  function name(line) { return substr(line, 1, 34) }
  function how(line, t) { t = substr(line, 36, 26); sub(/ +$/, "", t); return t }
  !/median/ { next }
  FILENAME ~ /ours/ { k = name($0) "|" how($0); v[k] = v[k] " " figure($0); if (!(k in seen)) { seen[k] = 1; order[++n] = k }; next }
  how($0) ~ /serialize|memcpy/ { next }
  { peer = (FILENAME ~ /cpp$/ ? "C++ " : "protobuf-c ") how($0); p[name($0), ++m[name($0)]] = peer; t[name($0), m[name($0)]] = figure($0) }
  END {
    printf "%-34s %-22s %12s   %-28s %12s %8s\n", "payload", "ours", "ns", "peer", "ns", "ratio"
    for (i = 1; i <= n; i++) {
      split(order[i], part, "|"); count = split(v[order[i]], x, " ")
      for (a = 1; a <= count; a++) for (b = a + 1; b <= count; b++) if (x[b] + 0 < x[a] + 0) { s = x[a]; x[a] = x[b]; x[b] = s }
      mine = x[int((count + 1) / 2)]
      for (j = 1; j <= m[part[1]]; j++)
        printf "%-34s %-22s %12.1f   %-28s %12.0f %7.1fx\n", part[1], part[2], mine, p[part[1], j], t[part[1], j], t[part[1], j] / mine
    }
  }' "$OUT"/ours.1 "$OUT"/ours.2 "$OUT"/ours.3 "$OUT"/cpp "$OUT"/c
