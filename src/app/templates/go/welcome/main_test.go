package main

import (
	"testing"

	"functions/nexus"
)

func TestWelcomesAUserOnce(t *testing.T) {
	world := nexus.NewWorld()
	event, err := nexus.ParseEvent([]byte(`{"id":"1","type":"user.created","data":{"user_id":"u42"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2; i++ {
		if _, err := welcome(event); err != nil {
			t.Fatal(err)
		}
	}
	if string(world.Keys["visits.u42"]) != "2" || len(world.Published) != 1 {
		t.Fatalf("%+v", world)
	}
}
