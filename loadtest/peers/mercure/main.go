// A Mercure hub on 127.0.0.1: the library's own handler, with updates kept in memory only.
//
//	hub <port> <publisher's key>
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/dunglas/mercure"
	"go.uber.org/zap"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("hub <port> <publisher's key>")
	}
	hub, err := mercure.NewHub(
		mercure.WithAnonymous(),
		mercure.WithPublisherJWT([]byte(os.Args[2]), "HS256"),
		// A hub without a key for subscribers has no anonymous ones to let in: the same key, which none of them uses.
		mercure.WithSubscriberJWT([]byte(os.Args[2]), "HS256"),
		mercure.WithLogger(zap.NewNop()),
		// Else streams end after ten minutes, and none is to end within a measurement.
		mercure.WithWriteTimeout(0),
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], hub))
}
