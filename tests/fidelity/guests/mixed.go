// tests/fidelity/guests/mixed.go: goroutines, timers, map iteration and random numbers.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sync"
	"time"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var event map[string]any
	if err := json.Unmarshal(input, &event); err != nil {
		panic(err)
	}
	results := make(chan string, 8)
	var group sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			time.Sleep(time.Duration(rand.Intn(300)) * time.Microsecond)
			results <- fmt.Sprintf("%d:%d", worker, rand.Int63())
		}()
	}
	group.Wait()
	close(results)
	for result := range results {
		fmt.Print(result, " ")
	}
	for key := range event {
		fmt.Print(key, " ")
	}
	fmt.Fprintln(os.Stderr, "handled", event["id"])
	fmt.Println(time.Now().UnixNano())
}
