// Payments takes the requests of a payment service and lets those through that are signed with our secret.
//
// The signature is over the bytes of the body. They are still there: the data of an http event holds a JSON body as it was
// sent, and json.RawMessage does not touch it. (White space around the JSON is not part of it.)
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"

	"nexus"
)

type request struct {
	Headers map[string]string `json:"headers"` // their names in small letters
	Body    json.RawMessage   `json:"body"`
}

// isSigned says whether the signature, sha256= and hexadecimal digits, is that of the body. The comparison takes as long
// for a wrong signature as for a right one, so that nobody finds it digit by digit.
func isSigned(body []byte, signature, secret string) bool {
	digits, found := strings.CutPrefix(signature, "sha256=")
	given, err := hex.DecodeString(digits)
	if !found || err != nil {
		return false
	}
	code := hmac.New(sha256.New, []byte(secret))
	code.Write(body)
	return hmac.Equal(given, code.Sum(nil))
}

func receive(event nexus.Event) (any, error) {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" {
		return nil, errors.New("there is no WEBHOOK_SECRET: without one anybody could sign")
	}
	var got request
	if err := event.Bind(&got); err != nil {
		return nil, err
	}
	if !isSigned(got.Body, got.Headers["x-signature-256"], secret) {
		// No error: trying again would not make it right.
		nexus.Warn("refused: the signature is not that of the body")
		return map[string]bool{"accepted": false}, nil
	}
	if err := nexus.PublishAs("payment.received", "application/json", got.Body); err != nil {
		return nil, err
	}
	return map[string]bool{"accepted": true}, nil
}

func main() {
	nexus.Run(receive)
}
