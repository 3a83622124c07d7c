// main URL: prints each message. All that confirms one is the PONG that gorilla's handler sends by itself.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/gorilla/websocket"
)

func main() {
	socket, _, err := websocket.DefaultDialer.Dial(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(message))
	}
}
