#!/bin/bash
# A 224x224x3 Predict over REST: its body to a tensor, by ours, beside the same body into a RapidJSON document, from which nobody
# has taken a number yet; and the answer of as many numbers, printed by both. RapidJSON is built plainly and for this machine,
# and parses as it comes and with TensorFlow Serving's flags; the fastest of these counts. CPU time. Machines change speed within
# seconds, so the programs take turns, and medians count.
#
#   LoadTests/json.sh
set -euo pipefail
cd "$(dirname "$0")"
[ -f /usr/include/rapidjson/document.h ] || apt-get install -y -qq rapidjson-dev >&2
swift build -c release --product json-bench >&2
BENCH="$(swift build -c release --show-bin-path)/json-bench"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
g++ -O2 -DNDEBUG -std=c++17 Sources/json-peer/main.cc -o "$OUT/plain"
g++ -O3 -march=native -DRAPIDJSON_SSE42 -DNDEBUG -std=c++17 Sources/json-peer/main.cc -o "$OUT/native"
PIN=(taskset -c "${CORE:-1}")
SHAPES=(ints decimals shortest digits pretty exponents)
for shape in "${SHAPES[@]}"; do "$OUT/plain" --write "$OUT/$shape" $shape; done
for _ in $(seq "${ROUNDS:-3}"); do
  for shape in "${SHAPES[@]}"; do
    for program in ours plain native; do
      if [ $program = ours ]; then run=("$BENCH"); else run=("$OUT/$program"); fi
      "${PIN[@]}" "${run[@]}" "$OUT/$shape" | sed "s/^/$shape $program /" >>"$OUT/times"
    done
  done
done
awk -v shapes="${SHAPES[*]}" '
  $3 == "sum" { if (($1 in sum) && (sum[$1] - $4) ^ 2 > 1e-4) { print $1 ": different numbers: " sum[$1] " and " $4 > "/dev/stderr"; exit 1 }; sum[$1] = $4; next }
  { key = $1 " " $2 " " $3; t[key, ++n[key]] = $4 }
  function median(key,  i, j, s) {
    for (i = 1; i <= n[key]; i++) for (j = i + 1; j <= n[key]; j++) if (t[key, j] < t[key, i]) { s = t[key, i]; t[key, i] = t[key, j]; t[key, j] = s }
    return t[key, int((n[key] + 1) / 2)] / 1000
  }
  function least(a, b) { return a < b ? a : b }
  END {
    count = split(shapes, order, " ")
    printf "%-10s %9s %28s %28s %7s   %9s %9s %9s %7s\n", "", "parse us", "RapidJSON us: plain, native", "with Serving'"'"'s flags", "ratio", "print us", "plain", "native", "ratio"
    for (i = 1; i <= count; i++) {
      s = order[i]; ours = median(s " ours parse"); print_ = median(s " ours print")
      a = median(s " plain document"); b = median(s " native document"); c = median(s " plain serving"); d = median(s " native serving")
      p = median(s " plain print"); q = median(s " native print")
      printf "%-10s %9.0f %18.0f %9.0f %18.0f %9.0f %6.1fx   %9.0f %9.0f %9.0f %6.1fx\n", s, ours, a, b, c, d, least(least(a, b), least(c, d)) / ours, print_, p, q, least(p, q) / print_
    }
  }' "$OUT/times"
