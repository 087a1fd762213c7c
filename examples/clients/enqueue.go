// SPDX-License-Identifier: Apache-2.0

// enqueue TASK [PAYLOAD] [QUEUE]: publishes a job with amqp091-go and prints its id.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"
)

func check(err error) {
	if err != nil {
		log.Fatalf("enqueue: %v", err)
	}
}

func argument(n int, fallback string) string {
	if n < len(os.Args) {
		return os.Args[n]
	}
	return fallback
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: enqueue TASK [PAYLOAD] [QUEUE]")
	}
	task, payload, queue := os.Args[1], argument(2, "null"), argument(3, "default")
	if !json.Valid([]byte(payload)) {
		log.Fatal("enqueue: the payload is not JSON")
	}
	url := os.Getenv("CRESS_BROKER_URL")
	if url == "" {
		url = "amqp://guest:guest@localhost:5672/"
	}
	connection, err := amqp.Dial(url)
	check(err)
	defer connection.Close()
	channel, err := connection.Channel()
	check(err)
	check(channel.Confirm(false))
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, 1))

	id := make([]byte, 16)
	_, err = rand.Read(id)
	check(err)
	job := hex.EncodeToString(id)
	check(channel.PublishWithContext(context.Background(), "", queue, true, false,
		amqp.Publishing{Type: task, MessageId: job, DeliveryMode: amqp.Persistent,
			ContentType: "application/json", Body: []byte(payload)}))
	if confirm := <-confirms; !confirm.Ack { // also when the connection is lost
		log.Fatal("enqueue: the broker has not taken it")
	}
	select {
	case back := <-returned: // it comes before the confirm
		log.Fatalf("enqueue: %s", back.ReplyText)
	default:
		fmt.Println(job)
	}
}
