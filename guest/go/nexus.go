// Package nexus is what a Nexus function can ask of its host, beyond WASI. It needs Go 1.21 or newer and nothing else.
//
//	func main() {
//		nexus.Run(func(event nexus.Event) (any, error) {
//			var user struct{ UserID string `json:"user_id"` }
//			if err := event.Bind(&user); err != nil {
//				return nil, err
//			}
//			nexus.Info("Processing user event", "user_id", user.UserID)
//			return user, nexus.Publish("user.welcomed", user)
//		})
//	}
//
// Published events and key-value writes take effect when the function succeeds, all of them and once; when it fails,
// none does, and the event is tried again. Built for anything but GOOS=wasip1 the same calls are answered by a World, so
// that a function's tests need no server. The contract is spec/guest-interface.md.
package nexus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"
)

// ErrInvalid is answered for an argument that is not allowed: an empty key, a type that is too long.
var ErrInvalid = errors.New("nexus: an argument is not allowed")

// Level says how important a log line is.
type Level int32

const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Run reads the event from standard input, calls the handler and prints what it returns: nil prints nothing, bytes and
// strings are printed as they are, anything else as JSON. An error is logged with level ERROR and ends the function
// with status 1: no effect is made, and the event is tried again.
func Run(handler func(Event) (any, error)) {
	if err := handle(os.Stdin, os.Stdout, handler); err != nil {
		Error(err.Error())
		os.Exit(1)
	}
}

func handle(input io.Reader, output io.Writer, handler func(Event) (any, error)) error {
	text, err := io.ReadAll(input)
	if err != nil {
		return err
	}
	event, err := ParseEvent(text)
	if err != nil {
		return err
	}
	result, err := handler(event)
	if err != nil {
		return err
	}
	bytes, err := outputOf(result)
	if err != nil {
		return err
	}
	_, err = output.Write(bytes)
	return err
}

func outputOf(result any) ([]byte, error) {
	switch value := result.(type) {
	case nil:
		return nil, nil
	case []byte:
		return value, nil
	case string:
		return []byte(value), nil
	default:
		return json.Marshal(value)
	}
}

// Event is the CloudEvent that the function was called for.
type Event struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Time    time.Time       `json:"time"`
	Data    json.RawMessage `json:"data"`        // JSON, as it was sent; empty where the data is binary
	Binary  []byte          `json:"data_base64"` // data that is neither JSON nor text
	members map[string]json.RawMessage
}

// ParseEvent reads what the manifest's default `input: event` gives.
func ParseEvent(text []byte) (Event, error) {
	var event Event
	if err := json.Unmarshal(text, &event); err != nil {
		return Event{}, fmt.Errorf("the event: %w", err)
	}
	if err := json.Unmarshal(text, &event.members); err != nil {
		return Event{}, fmt.Errorf("the event: %w", err)
	}
	return event, nil
}

// Bind reads the data into what `target` points to.
func (event Event) Bind(target any) error {
	if len(event.Data) == 0 {
		return errors.New("the event has no JSON data")
	}
	if err := json.Unmarshal(event.Data, target); err != nil {
		return fmt.Errorf("the event's data: %w", err)
	}
	return nil
}

// Attribute is any attribute that is text, such as an extension; empty where there is none.
func (event Event) Attribute(name string) string {
	var text string
	if json.Unmarshal(event.members[name], &text) != nil {
		return ""
	}
	return text
}

// Log writes a log line. `fields` are names and values in turn, as with log/slog.
func Log(level Level, text string, fields ...any) {
	object := ""
	if len(fields) > 0 {
		members := map[string]any{}
		for i := 0; i+1 < len(fields); i += 2 {
			members[fmt.Sprint(fields[i])] = fields[i+1]
		}
		if len(fields)%2 == 1 {
			members["!BADKEY"] = fields[len(fields)-1]
		}
		bytes, err := json.Marshal(members)
		if err != nil {
			bytes, _ = json.Marshal(map[string]string{"!BADFIELDS": err.Error()})
		}
		object = string(bytes)
	}
	_ = hostLog(level, text, object)
}

func Debug(text string, fields ...any) { Log(LevelDebug, text, fields...) }
func Info(text string, fields ...any)  { Log(LevelInfo, text, fields...) }
func Warn(text string, fields ...any)  { Log(LevelWarn, text, fields...) }
func Error(text string, fields ...any) { Log(LevelError, text, fields...) }

// Publish publishes an event of this type with `data` as JSON, when the call succeeds.
func Publish(eventType string, data any) error {
	bytes, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return PublishAs(eventType, "application/json", bytes)
}

// PublishAs publishes an event whose data is of any content type.
func PublishAs(eventType, contentType string, data []byte) error {
	return errorOf(hostPublish(eventType, contentType, data))
}

// Respond sets the status (200 to 599) and the headers of the answer, whose body is what the handler returns: for functions
// with `respond: result`. The last call counts.
func Respond(status int, headers map[string][]string) error {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names) // the same answer each time
	var lines strings.Builder
	for _, name := range names {
		for _, value := range headers[name] {
			if strings.ContainsAny(name+value, "\r\n") {
				return ErrInvalid
			}
			lines.WriteString(name + ": " + value + "\n")
		}
	}
	return errorOf(hostRespond(int32(status), lines.String()))
}

// Get reads a key of the function's own store: this call's writes first, then what is committed.
func Get(key string) (value []byte, found bool, err error) {
	value = make([]byte, 1024)
	for {
		length, errno := hostGet(key, value)
		switch errno {
		case 44:
			return nil, false, nil
		case 61:
			value = make([]byte, length)
		case 0:
			return value[:length], true, nil
		default:
			return nil, false, errorOf(errno)
		}
	}
}

// GetJSON reads a key into what `target` points to, which is left as it is where there is none.
func GetJSON(key string, target any) (found bool, err error) {
	value, found, err := Get(key)
	if err != nil || !found {
		return false, err
	}
	return true, json.Unmarshal(value, target)
}

// Set writes a key (1 to 512 bytes; the value up to 512 KiB), when the call succeeds.
func Set(key string, value []byte) error { return errorOf(hostSet(key, value)) }

// SetJSON writes a key's value as JSON.
func SetJSON(key string, value any) error {
	bytes, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return Set(key, bytes)
}

// Delete deletes a key, when the call succeeds. Deleting what is not there is no error.
func Delete(key string) error { return errorOf(hostDelete(key)) }

// Now is the wall time. time.Now works too; a replay gives both the same again.
func Now() time.Time { return time.Unix(0, hostNow()).UTC() }

// Random fills the bytes with random ones; a replay gives the same again.
func Random(bytes []byte) error {
	for len(bytes) > 0 {
		part := bytes[:min(len(bytes), 1<<20)]
		if err := errorOf(hostRandom(part)); err != nil {
			return err
		}
		bytes = bytes[len(part):]
	}
	return nil
}

func errorOf(errno int32) error {
	switch errno {
	case 0:
		return nil
	case 28:
		return ErrInvalid
	default:
		return fmt.Errorf("nexus: the host answered with errno %d", errno)
	}
}
