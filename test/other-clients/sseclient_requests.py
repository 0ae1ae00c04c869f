"""sseclient-py parses, requests reads. To come back is left to the program."""

import json
import sys
import time

import requests
import sseclient

# Above the server's heartbeat interval (15 s): a connection that brings nothing for longer is dead.
TIMEOUT_S = (10, 45)
# sseclient-py does not tell what `retry:` says.
RETRY_S = 0.2

last_event_id = ""
while True:
    headers = {"Accept": "text/event-stream"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    try:
        with requests.get(
            sys.argv[1], headers=headers, stream=True, timeout=TIMEOUT_S
        ) as response:
            response.raise_for_status()
            for event in sseclient.SSEClient(response).events():
                # Not an empty one: `id` is None where the frame has none.
                last_event_id = event.id or last_event_id
                seen = {"event": event.event, "data": event.data, "id": last_event_id}
                print(json.dumps(seen), flush=True)
    except requests.RequestException as error:
        print(f"Again after {type(error).__name__}", file=sys.stderr, flush=True)
    time.sleep(RETRY_S)
