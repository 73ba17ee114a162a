#!/usr/bin/python3
"""Asks the demo app again and again, every few ms, each time on a new connection, and writes a JSON line whenever the
answer changes: {"t": seconds on CLOCK_MONOTONIC, "up": bool, "version": ..., "why": ...}. The time of an answer that
is no good is when it was asked for; of a good one, when it came: so an outage is counted from the first request that
was not served to the first that was."""

import http.client
import json
import sys
import time


def ask(port, timeout):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status == 200:
            return answer["version"], None
        return None, "status %d" % response.status
    except Exception as e:
        return None, type(e).__name__
    finally:
        connection.close()


def main(port=8000, interval=0.002, timeout=1.0):
    last = None
    while True:
        asked = time.monotonic()
        version, why = ask(port, timeout)
        now = (version is not None, version)
        if now != last:
            line = {"t": time.monotonic() if version else asked, "up": version is not None, "version": version}
            print(json.dumps({**line, "why": why}), flush=True)
            last = now
        time.sleep(interval)


main(*map(int, sys.argv[1:2]))
