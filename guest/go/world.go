//go:build !wasip1

package nexus

import "math/rand"

// Line is a log line that was written; Fields is a JSON object, or empty.
type Line struct {
	Level  Level
	Text   string
	Fields string
}

// Published is an event that was published.
type Published struct {
	Type        string
	ContentType string
	Data        []byte
}

// Response is what the function said of its answer; Headers are lines. The status 0 says that it said nothing.
type Response struct {
	Status  int
	Headers string
}

// World answers the host's calls outside of WebAssembly: what a function sees, and what it did.
//
//	world := nexus.NewWorld()
//	world.Keys["visits.u42"] = []byte("3")
//	result, err := welcome(event)
//	if len(world.Published) != 0 { … }
type World struct {
	Keys      map[string][]byte
	Lines     []Line
	Published []Published
	Response  Response
	Time      int64 // what Now answers, in nanoseconds since 1970
	random    *rand.Rand
}

var world = emptyWorld()

func emptyWorld() *World {
	return &World{Keys: map[string][]byte{}, random: rand.New(rand.NewSource(1))}
}

// NewWorld makes an empty world and lets the calls be answered by it from now on. Tests that use one cannot run in
// parallel.
func NewWorld() *World {
	world = emptyWorld()
	return world
}

const invalid = 28

func isName(name string) bool { return len(name) >= 1 && len(name) <= 512 }

func hostLog(level Level, text, fields string) int32 {
	world.Lines = append(world.Lines, Line{level, text, fields})
	return 0
}

func hostPublish(eventType, contentType string, data []byte) int32 {
	if !isName(eventType) {
		return invalid
	}
	world.Published = append(world.Published, Published{eventType, contentType, append([]byte{}, data...)})
	return 0
}

func hostRespond(status int32, headers string) int32 {
	if status < 200 || status > 599 {
		return invalid
	}
	world.Response = Response{int(status), headers}
	return 0
}

func hostGet(key string, buffer []byte) (length uint32, errno int32) {
	if !isName(key) {
		return 0, invalid
	}
	value, found := world.Keys[key]
	if !found {
		return 0, 44
	}
	if len(value) > len(buffer) {
		return uint32(len(value)), 61
	}
	return uint32(copy(buffer, value)), 0
}

func hostSet(key string, value []byte) int32 {
	if !isName(key) || len(value) > 512*1024 {
		return invalid
	}
	world.Keys[key] = append([]byte{}, value...)
	return 0
}

func hostDelete(key string) int32 {
	if !isName(key) {
		return invalid
	}
	delete(world.Keys, key)
	return 0
}

func hostNow() int64 { return world.Time }

func hostRandom(bytes []byte) int32 {
	world.random.Read(bytes)
	return 0
}
