// Welcome welcomes a new user; it runs for every event of type user.created.
//
// What is stored and published takes effect when the handler returns no error: all of it, exactly once. An error, or a
// panic, drops it, and the event is tried again.
package main

import (
	"errors"

	"functions/nexus"
)

func welcome(event nexus.Event) (any, error) {
	var user struct {
		UserID string `json:"user_id"`
	}
	if err := event.Bind(&user); err != nil {
		return nil, err
	}
	if user.UserID == "" {
		return nil, errors.New("The event has no user_id")
	}
	nexus.Info("Processing user event", "user_id", user.UserID)

	// How often this user was seen: the keys are this function's own, and last.
	key, visits := "visits."+user.UserID, 0
	if _, err := nexus.GetJSON(key, &visits); err != nil {
		return nil, err
	}
	visits++
	if err := nexus.SetJSON(key, visits); err != nil {
		return nil, err
	}

	if visits == 1 {
		err := nexus.Publish("user.welcomed", map[string]string{"user_id": user.UserID, "text": "Welcome!"})
		if err != nil {
			return nil, err
		}
	}
	return map[string]any{"user_id": user.UserID, "visits": visits}, nil
}

func main() {
	nexus.Run(welcome)
}
