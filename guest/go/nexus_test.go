//go:build !wasip1

package nexus

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

const event = `{"specversion":"1.0","id":"e1","source":"/s","type":"user.created","time":"2026-01-01T00:00:00Z",
	"tier":"gold","data":{"user_id":"u42"}}`

func TestAnEventGivesItsAttributesAndData(t *testing.T) {
	got, err := ParseEvent([]byte(event))
	var data struct {
		UserID string `json:"user_id"`
	}
	if err != nil || got.Bind(&data) != nil || data.UserID != "u42" {
		t.Fatalf("%+v %v %+v", got, err, data)
	}
	if got.ID != "e1" || got.Type != "user.created" || got.Attribute("tier") != "gold" || got.Attribute("none") != "" {
		t.Fatalf("%+v", got)
	}
	if !got.Time.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatal(got.Time)
	}
	if _, err := ParseEvent([]byte("{")); err == nil {
		t.Fatal("half an event was taken")
	}
}

func TestTheOutputIsWhatTheHandlerReturns(t *testing.T) {
	for _, c := range []struct {
		result any
		want   string
	}{{nil, ""}, {"text", "text"}, {[]byte{1, 2}, "\x01\x02"}, {map[string]int{"a": 1}, `{"a":1}`}} {
		var out bytes.Buffer
		err := handle(strings.NewReader(event), &out, func(Event) (any, error) { return c.result, nil })
		if err != nil || out.String() != c.want {
			t.Fatalf("%q %v", out.String(), err)
		}
	}
	failed := errors.New("failed")
	err := handle(strings.NewReader(event), &bytes.Buffer{}, func(Event) (any, error) { return "half", failed })
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
}

func TestLogLinesHaveLevelAndFields(t *testing.T) {
	world := NewWorld()
	Info("Processing", "user_id", "u42", "visits", 3)
	Error("no fields")
	Warn("odd", "alone")
	if world.Lines[0] != (Line{LevelInfo, "Processing", `{"user_id":"u42","visits":3}`}) ||
		world.Lines[1] != (Line{LevelError, "no fields", ""}) || world.Lines[2].Fields != `{"!BADKEY":"alone"}` {
		t.Fatalf("%+v", world.Lines)
	}
}

func TestEventsArePublished(t *testing.T) {
	world := NewWorld()
	if err := Publish("user.welcomed", map[string]string{"user_id": "u42"}); err != nil {
		t.Fatal(err)
	}
	if err := PublishAs("image.made", "image/png", []byte{0x89}); err != nil {
		t.Fatal(err)
	}
	if err := Publish("", nil); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if len(world.Published) != 2 || string(world.Published[0].Data) != `{"user_id":"u42"}` || world.Published[1].ContentType != "image/png" {
		t.Fatalf("%+v", world.Published)
	}
}

func TestKeysAreReadWrittenAndDeleted(t *testing.T) {
	NewWorld()
	if _, found, err := Get("k"); found || err != nil {
		t.Fatal(found, err)
	}
	large := bytes.Repeat([]byte{7}, 100_000)
	if err := Set("k", large); err != nil {
		t.Fatal(err)
	}
	if value, found, err := Get("k"); !found || err != nil || !bytes.Equal(value, large) {
		t.Fatal(len(value), found, err)
	}
	n := 0
	if err := SetJSON("n", 41); err != nil {
		t.Fatal(err)
	}
	if found, err := GetJSON("n", &n); !found || err != nil || n != 41 {
		t.Fatal(n, found, err)
	}
	if err := Delete("k"); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := Get("k"); found {
		t.Fatal("still there")
	}
	if err := Set("", nil); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}

func TestAnAnswerHasAStatusAndHeaders(t *testing.T) {
	world := NewWorld()
	if err := Respond(201, map[string][]string{"Location": {"/1"}, "Set-Cookie": {"a=1", "b=2"}}); err != nil {
		t.Fatal(err)
	}
	if world.Response != (Response{201, "Location: /1\nSet-Cookie: a=1\nSet-Cookie: b=2\n"}) {
		t.Fatal(world.Response)
	}
	if !errors.Is(Respond(99, nil), ErrInvalid) || !errors.Is(Respond(200, map[string][]string{"X": {"a\nb"}}), ErrInvalid) {
		t.Fatal("not refused")
	}
}

func TestClockAndRandomAreTheWorlds(t *testing.T) {
	NewWorld().Time = 1_700_000_000_000_000_000
	if Now().Unix() != 1_700_000_000 {
		t.Fatal(Now())
	}
	first, again := make([]byte, 16), make([]byte, 16)
	if err := Random(first); err != nil {
		t.Fatal(err)
	}
	NewWorld()
	if err := Random(again); err != nil || !bytes.Equal(first, again) {
		t.Fatal(first, again, err)
	}
}
