#!/bin/bash
# The whole way in one command: installs what is missing, builds the server, serves a model of handwritten digits that comes with the
# repository, asks it one real question, and leaves the server running.
#
#   Deploy/demo.sh            PORT=9000 Deploy/demo.sh to choose the port
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

demo=$PWD/.build/demo
client=$demo/predict
image=Deploy/Demo/images/3.txt

say "What is needed"
Deploy/setup.sh
echo "All there."

say "Building the server (the first time takes minutes)"
swift build -c release --product martlet-server
server=$(readlink -f .build/release/martlet-server)  # SwiftPM's .build/release is a link

say "Building the client: C, on nghttp2 and protobuf-c"
mkdir -p "$demo"
make --silent -C Deploy/Examples/c-client OUT="$demo"
echo "$client"

# A server left by an earlier run makes way for this one.
if [ -f "$demo/server.pid" ]; then
  earlier=$(cat "$demo/server.pid")
  case $(readlink "/proc/$earlier/exe" 2>/dev/null || true) in
    "$server" | "$server (deleted)")
      say "Stopping the server of an earlier run (process $earlier)"
      kill "$earlier"
      while kill -0 "$earlier" 2>/dev/null; do sleep 0.1; done
      ;;
  esac
fi

port=${PORT:-8500}
if answers "$port"; then
  taken=$port
  while answers "$port"; do port=$((port + 1)); done
  say "Port $taken is taken; using $port"
fi

say "Starting the server"
rm -f "$demo/server.pid"
setsid --fork bash -c 'echo $$ > "$1"; exec "${@:3}" > "$2" 2>&1 < /dev/null' demo \
  "$demo/server.pid" "$demo/server.log" "$server" --port="$port" --model_name=digits --model_base_path="$PWD/Deploy/Demo/digits"

deadline=$((SECONDS + 30))
until "$client" "127.0.0.1:$port" digits < "$image" > "$demo/answer" 2> "$demo/error"; do
  if [ -s "$demo/server.pid" ] && ! kill -0 "$(cat "$demo/server.pid")" 2>/dev/null || [ $SECONDS -gt $deadline ]; then
    echo "The server does not answer: $(cat "$demo/error"). Its log, $demo/server.log, ends:" >&2
    tail -20 "$demo/server.log" >&2
    exit 1
  fi
  sleep 0.1
done
echo "$server --port=$port --model_name=digits --model_base_path=$PWD/Deploy/Demo/digits"

say "A handwritten digit the model has never seen, and what it says"
cat "$demo/answer"

cat <<END

== The server is running: port $port, process $(cat "$demo/server.pid"), log $demo/server.log
Ask it again (images/0.txt to 9.txt, or 64 numbers of your own):

    $client 127.0.0.1:$port digits < $PWD/Deploy/Demo/images/7.txt

Stop it (it finishes what it has begun):

    kill $(cat "$demo/server.pid")
END
