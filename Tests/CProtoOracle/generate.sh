#!/bin/bash
# Makes generated/ from Protos/ with protobuf-c's compiler (Debian: protobuf-c-compiler). Run after changing a .proto.
# protobuf-c knows no proto3 `optional`; the word is dropped, which changes no byte on the wire.
set -euo pipefail
cd "$(dirname "$0")"
PROTOS=../../Protos
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FILES=(
  tensorflow/core/example/{example,feature}.proto
  tensorflow/core/framework/{attr_value,function,graph,node_def,op_def,resource_handle,tensor,tensor_shape,tensor_slice,types,versions}.proto
  tensorflow/core/protobuf/{meta_graph,named_tensor,saved_model,saver,tensor_bundle}.proto
  tensorflow_serving/apis/{model,predict}.proto
)
for file in "${FILES[@]}"; do
  mkdir -p "$WORK/$(dirname "$file")"
  sed 's/^\( *\)optional /\1/' "$PROTOS/$file" >"$WORK/$file"
done
rm -rf generated
mkdir generated
(cd "$WORK" && protoc-c -I. -I/usr/include --c_out="$OLDPWD/generated" "${FILES[@]}" google/protobuf/{any,wrappers}.proto 2>&1 | grep -v 'Import .* is unused' >&2) || true
