#!/bin/sh
# Makes Sources/Schemas from the messages here. Run it after a change under Protos/, and commit what comes out.
#
# Needs protoc (Debian: protobuf-compiler) and, once, `swift package resolve`: the plugin is built from the very checkout
# of swift-protobuf the package depends on, so that generated code and runtime fit each other.
set -eu
cd "$(dirname "$0")/.."

checkout=.build/checkouts/swift-protobuf
swift build --package-path "$checkout" --scratch-path .build/protoc-gen-swift --product protoc-gen-swift
plugin=.build/protoc-gen-swift/debug/protoc-gen-swift

# What the control plane reads as text or JSON. The request path has its own parser, in Messages. A service definition
# makes no Swift code; a proto whose messages nobody reads that way is left out.
roots="
tensorflow/core/protobuf/saved_model.proto
tensorflow/core/protobuf/config.proto
tensorflow/core/example/example.proto
tensorflow_serving/apis/get_model_metadata.proto
tensorflow_serving/apis/get_model_status.proto
tensorflow_serving/apis/model_management.proto
tensorflow_serving/apis/prediction_log.proto
tensorflow_serving/config/model_server_config.proto
tensorflow_serving/config/monitoring_config.proto
tensorflow_serving/config/platform_config.proto
tensorflow_serving/config/ssl_config.proto
tensorflow_serving/servables/tensorflow/saved_model_bundle_source_adapter.proto
tensorflow_serving/servables/tensorflow/session_bundle_config.proto
"

# Every file a root imports, each once.
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for root in $roots; do
  protoc --proto_path=Protos --dependency_out="$list.d" --descriptor_set_out=/dev/null "$root"
  tr -s ' \\' '\n\n' < "$list.d" | sed -n 's|^Protos/||p' >> "$list"
  echo >> "$list"
  rm -f "$list.d"
done

rm -rf Sources/Schemas
mkdir -p Sources/Schemas
sort -u "$list" | sed "/^$/d" | xargs protoc --proto_path=Protos --plugin="$plugin" --swift_out=Sources/Schemas \
  --swift_opt=Visibility=Public --swift_opt=FileNaming=PathToUnderscores --swift_opt=UseAccessLevelOnImports=true
