// github.com/r3labs/sse/v2: comes back by itself with the last id, but not after a clean end, and not
// for longer than 15 minutes. The second argument "default" leaves it as it is.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

// A frame of the server's largest event (SSE_MAX_EVENT_BYTES, 256 KiB) with the names of its fields,
// should each byte be a line of its own. The library's own limit is 64 KiB: what is larger ends the
// connection, again and again.
const maxFrameBytes = 8 * 256 * 1024

func main() {
	url := os.Args[1]
	if len(os.Args) > 2 && os.Args[2] == "default" {
		client := sse.NewClient(url)
		fmt.Fprintln(os.Stderr, "Ended with", client.SubscribeRaw(print))
		return
	}
	client := sse.NewClient(url, sse.ClientMaxBufferSize(maxFrameBytes))
	client.Connection.Transport = wholeEvents{http.DefaultTransport}
	// Its own gives up when the subscription is older than 15 minutes, at whatever goes wrong then.
	forever := backoff.NewExponentialBackOff()
	forever.MaxElapsedTime = 0
	forever.MaxInterval = 10 * time.Second
	client.ReconnectStrategy = forever
	for {
		err := client.SubscribeRaw(print)
		fmt.Fprintln(os.Stderr, "Again after", err)
		time.Sleep(forever.InitialInterval)
	}
}

func print(event *sse.Event) {
	name := string(event.Event)
	if name == "" {
		name = "message"
	}
	// It shows a frame that has only `retry:` as an empty event.
	if name == "message" && len(event.Data) == 0 && len(event.Retry) > 0 {
		return
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{
		"event": name, "data": string(event.Data), "id": string(event.ID),
	})
}
