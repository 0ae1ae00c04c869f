package main

import (
	"bytes"
	"io"
	"net/http"
)

// A transport whose bodies end with a whole event. The library takes what is there when a connection
// breaks off for an event, and its id for the last id: the rest of that event would never come.
// [WHATWG HTML §9.2.6] Once the end of the file is reached, any pending data must be discarded.
type wholeEvents struct{ http.RoundTripper }

func (t wholeEvents) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err == nil {
		response.Body = &wholeEventsBody{ReadCloser: response.Body}
	}
	return response, err
}

type wholeEventsBody struct {
	io.ReadCloser
	// What has come: the first `whole` bytes of it are whole events.
	held  []byte
	whole int
	err   error
	piece [16 * 1024]byte
}

var endOfEvent = []byte("\n\n")

func (b *wholeEventsBody) Read(into []byte) (int, error) {
	for b.whole == 0 && b.err == nil {
		var n int
		n, b.err = b.ReadCloser.Read(b.piece[:])
		// The end may lie across the last piece and this one.
		from := max(0, len(b.held)-1)
		b.held = append(b.held, b.piece[:n]...)
		if at := bytes.LastIndex(b.held[from:], endOfEvent); at >= 0 {
			b.whole = from + at + len(endOfEvent)
		}
	}
	if b.whole == 0 {
		return 0, b.err
	}
	n := copy(into, b.held[:b.whole])
	b.held = b.held[n:]
	b.whole -= n
	return n, nil
}
