"""A well-behaved client in a process of its own, so that the attacker's work is not counted as the server's latency.

    neighbour.py ADDRESS REQUEST ANSWER CERTIFICATE      (message bytes in hex; the certificate's file, or "" for no TLS)

It says `ready`, then obeys lines: `begin` starts asking, one call after the other on one connection; `end` stops and prints
{"count", "wrong", "worst", "median"} as JSON, times in seconds.
"""
import json
import os
import sys
import threading
import time

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

address, request, answer = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
options = [("grpc.use_local_subchannel_pool", 1)]
if sys.argv[4]:
    with open(sys.argv[4], "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), options)
else:
    channel = grpc.insecure_channel(address, options)
call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
call(request, timeout=20)
print("ready", flush=True)

times, wrong, stop = [], [], threading.Event()


def ask():
    while not stop.is_set() or len(times) < 5:
        began = time.monotonic()
        try:
            if call(request, timeout=20) != answer:
                wrong.append("another answer")
        except grpc.RpcError as error:
            wrong.append(f"{error.code().name}: {error.details()}")
        times.append(time.monotonic() - began)
        # A pace, so that the neighbour itself is no load.
        time.sleep(0.002)


for line in sys.stdin:
    if line == "begin\n":
        times, wrong = [], []
        stop.clear()
        thread = threading.Thread(target=ask)
        thread.start()
    elif line == "end\n":
        stop.set()
        thread.join()
        times.sort()
        print(json.dumps({"count": len(times), "wrong": wrong[:3], "worst": times[-1], "median": times[len(times) // 2]}), flush=True)
