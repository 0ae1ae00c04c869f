"""httpx-sse parses, httpx reads. To come back is left to the program.

The second argument says for how long httpx waits for bytes: "default" is what it does unasked (5 s).
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

# Above the server's heartbeat interval (15 s): a connection that brings nothing for longer is dead.
QUIET_S = 45
timeouts = {} if sys.argv[2:] == ["default"] else {"timeout": httpx.Timeout(10, read=QUIET_S)}

last_event_id = ""
retry_s = 3.0
with httpx.Client(**timeouts) as client:
    while True:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                source.response.raise_for_status()
                for sse in source.iter_sse():
                    if sse.retry is not None:
                        retry_s = sse.retry / 1000
                        # It shows a frame that has only `retry:` as an empty message.
                        if sse.event == "message" and sse.data == "":
                            continue
                    last_event_id = sse.id or last_event_id
                    seen = {"event": sse.event, "data": sse.data, "id": last_event_id}
                    print(json.dumps(seen), flush=True)
        except httpx.TransportError as error:
            print(f"Again after {type(error).__name__}", file=sys.stderr, flush=True)
        time.sleep(retry_s)
