#!/bin/bash
# Serialized tf.Examples to dense, sparse and ragged tensors: ours beside protobuf C++, which parses the same Classify request
# and fills the same tensors, by way of a new message each time (as TensorFlow does), of a new arena, and of an arena that keeps
# its memory. 100 features, 64 examples, whose names come in order, or in another order for each example. Machines change speed
# within seconds, so the two take turns, and medians count.
#
#   LoadTests/examples.sh
#
# PEERS is where the protobuf classes were built; see the peers' own README for how.
set -euo pipefail
cd "$(dirname "$0")"
PEERS="${PEERS:-$HOME/.cache/martlet-peers}"
[ -f "$PEERS/bin/libpbs.a" ] || { echo "no $PEERS/bin/libpbs.a: set PEERS to where the other parsers are built" >&2; exit 1; }
swift build -c release --product example-bench >&2
BENCH="$(swift build -c release --show-bin-path)/example-bench"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
g++ -O2 -DNDEBUG -std=c++17 -I"$PEERS/gen" Sources/example-peer/main.cc -o "$OUT/peer" "$PEERS/bin/libpbs.a" \
  -Wl,-Bstatic -lprotobuf -lz -Wl,-Bdynamic -lpthread
PIN=(taskset -c "${CORE:-1}")
for order in sorted hashed; do "$OUT/peer" --write "$OUT/$order" "${ROWS:-64}" $order; done
for _ in $(seq "${ROUNDS:-5}"); do
  for order in sorted hashed; do
    "${PIN[@]}" "$BENCH" "$OUT/$order" | sed "s/^/$order /" >>"$OUT/times"
    "${PIN[@]}" "$OUT/peer" "$OUT/$order" | sed "s/^/$order /" >>"$OUT/times"
  done
done
awk '
  $2 == "values" { if (values && values != $3) { print "different values: " values " and " $3 > "/dev/stderr"; exit 1 }; values = $3; next }
  { t[$1, $2, ++n[$1, $2]] = $3 }
  function median(o, k,  i, j, s) {
    for (i = 1; i <= n[o, k]; i++) for (j = i + 1; j <= n[o, k]; j++) if (t[o, k, j] < t[o, k, i]) { s = t[o, k, i]; t[o, k, i] = t[o, k, j]; t[o, k, j] = s }
    return t[o, k, int((n[o, k] + 1) / 2)]
  }
  END {
    printf "%-10s %-28s %12s %12s %8s\n", "names", "peer", "ours rows/s", "peer rows/s", "ratio"
    split("sorted hashed", orders, " "); split("message arena reused", peers, " ")
    label["message"] = "a new message"; label["arena"] = "a new arena"; label["reused"] = "an arena kept"
    for (o = 1; o <= 2; o++) for (i = 1; i <= 3; i++) {
      ours = median(orders[o], "ours"); peer = median(orders[o], peers[i])
      printf "%-10s %-28s %12.0f %12.0f %7.1fx\n", orders[o], "protobuf C++, " label[peers[i]], 1e9 / ours, 1e9 / peer, peer / ours
    }
  }' "$OUT/times"
