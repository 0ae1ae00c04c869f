// github.com/tmaxmax/go-sse: comes back by itself, with the last id.
package main

import (
	"encoding/json"
	"net/http"
	"os"

	"github.com/tmaxmax/go-sse"
)

// A frame of the server's largest event (SSE_MAX_EVENT_BYTES, 256 KiB) with the names of its fields,
// should each byte be a line of its own. The library's own limit is 64 KiB: what is larger ends the
// connection, again and again.
const maxFrameBytes = 8 * 256 * 1024

func main() {
	request, err := http.NewRequest(http.MethodGet, os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	connection := sse.NewConnection(request)
	if len(os.Args) < 3 || os.Args[2] != "default" {
		connection.Buffer(nil, maxFrameBytes)
	}
	lines := json.NewEncoder(os.Stdout)
	lastEventID := ""
	connection.SubscribeToAll(func(event sse.Event) {
		// It shows a frame that has only `retry:` as an empty event, with the last id.
		if event.Type == "" && event.Data == "" && event.LastEventID == lastEventID {
			return
		}
		lastEventID = event.LastEventID
		name := event.Type
		if name == "" {
			name = "message"
		}
		lines.Encode(map[string]string{"event": name, "data": event.Data, "id": event.LastEventID})
	})
	panic(connection.Connect())
}
