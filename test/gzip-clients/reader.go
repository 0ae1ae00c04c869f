// Reads a stream through net/http, which decompresses it unasked and checks the trailer, and writes
// what it gets as it comes. Anything but a clean end is exit code 1.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get(os.Args[1])
	if err != nil {
		fail("no answer", err)
	}
	if !response.Uncompressed {
		fail("not compressed", nil)
	}
	buffer := make([]byte, 64*1024)
	for {
		n, err := response.Body.Read(buffer)
		os.Stdout.Write(buffer[:n])
		if err == io.EOF {
			return
		}
		if err != nil {
			fail("the stream broke off", err)
		}
	}
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, what, err)
	os.Exit(1)
}
