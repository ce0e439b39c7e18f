#!/bin/bash
# Matrix products, one thread, GFLOP/s: our packed kernels beside OpenBLAS, as it starts and told which CPU this is.
#
#   LoadTests/gemm.sh
set -euo pipefail
cd "$(dirname "$0")"
swift build -c release --product gemm-bench >&2
BENCH="$(swift build -c release --show-bin-path)/gemm-bench"
export OPENBLAS_NUM_THREADS=1
PIN=(taskset -c "${CORE:-1}")
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
"${PIN[@]}" "$BENCH" >"$OUT/default"
OPENBLAS_CORETYPE="${CORETYPE:-SkylakeX}" "${PIN[@]}" "$BENCH" >"$OUT/told"
echo "| M, N, K | ours | OpenBLAS as it starts | ratio | OpenBLAS, ${CORETYPE:-SkylakeX} | ratio |"
echo "|---|---|---|---|---|---|"
paste -d' ' "$OUT/default" "$OUT/told" | awk '{
  ours = $4 > $9 ? $4 : $9
  printf "| %d, %d, %d | %.0f | %.0f | %.2f | %.0f | %.2f |\n", $1, $2, $3, ours, $5, ours / $5, $10, ours / $10 }'
