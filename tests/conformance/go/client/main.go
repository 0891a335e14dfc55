// Send events with the official Go SDK of CloudEvents, and print what it reads back, as ../../clients/client.py says.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

type data struct {
	JSON   json.RawMessage `json:"json,omitempty"`
	Text   *string         `json:"text,omitempty"`
	Base64 []byte          `json:"base64,omitempty"`
}

type item struct {
	Mode       string            `json:"mode,omitempty"`
	Attributes map[string]string `json:"attributes"`
	Data       data              `json:"data"`
}

// made is the SDK's event.
func made(it item) (event.Event, error) {
	// Attributes are the same text in JSON: the SDK's own reader knows each one's type.
	var e event.Event
	text, err := json.Marshal(it.Attributes)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	switch kind := e.DataContentType(); {
	case it.Data.JSON != nil:
		err = e.SetData(kind, it.Data.JSON)
	case it.Data.Text != nil:
		err = e.SetData(kind, *it.Data.Text)
	case it.Data.Base64 != nil:
		err = e.SetData(kind, it.Data.Base64)
	}
	return e, err
}

func send(to string, mode string, e event.Event) error {
	client, err := cloudevents.NewClientHTTP(cehttp.WithTarget(to))
	if err != nil {
		return err
	}
	ctx := binding.WithForceStructured(context.Background())
	if mode == "binary" {
		ctx = binding.WithForceBinary(context.Background())
	}
	if result := client.Send(ctx, e); !cloudevents.IsACK(result) {
		return result
	}
	return nil
}

func sendBatch(to string, events []event.Event) error {
	request, err := cehttp.NewHTTPRequestFromEvents(context.Background(), to, events)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%d %s", answer.StatusCode, text)
	}
	return nil
}

// read says what the SDK makes of the server's answer, its content's kind named.
func read(from string) (item, error) {
	var got item
	answer, err := http.Get(from)
	if err != nil {
		return got, err
	}
	defer answer.Body.Close()
	e, err := binding.ToEvent(context.Background(), cehttp.NewMessageFromHttpResponse(answer))
	if err != nil {
		return got, err
	}
	content := e.Data()
	base64 := e.DataBase64
	e.DataEncoded, e.DataBase64 = nil, false
	text, err := json.Marshal(e)
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(text, &got.Attributes); err != nil {
		return got, err
	}
	switch {
	case content == nil:
	case base64:
		got.Data.Base64 = content
	case e.DataContentType() == "application/json":
		got.Data.JSON = bytes.Clone(content)
	default:
		text := string(content)
		got.Data.Text = &text
	}
	return got, nil
}

func run(server, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var items []item
	if err := json.Unmarshal(text, &items); err != nil {
		return err
	}
	var batch []event.Event
	for _, it := range items {
		e, err := made(it)
		if err != nil {
			return err
		}
		if it.Mode == "batch" {
			batch = append(batch, e)
		} else if err := send(server+"/events", it.Mode, e); err != nil {
			return err
		}
	}
	if len(batch) > 0 {
		if err := sendBatch(server+"/events", batch); err != nil {
			return err
		}
	}
	got := []item{}
	for _, it := range items {
		e, err := read(server + "/events/" + url.PathEscape(it.Attributes["id"]))
		if err != nil {
			return err
		}
		got = append(got, e)
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
