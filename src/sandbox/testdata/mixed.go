// Everything in Go that could run differently twice: goroutines, timers, map order, random numbers, the clock.
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
	input, _ := io.ReadAll(os.Stdin)
	numbers := map[string]int{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			time.Sleep(time.Duration(i%3) * 100 * time.Microsecond)
			lock.Lock()
			numbers[fmt.Sprint("k", i)] = rand.Intn(1000)
			lock.Unlock()
		}(i)
	}
	group.Wait()
	for key, number := range numbers {
		fmt.Print(key, "=", number, " ")
	}
	text, _ := json.Marshal(map[string]any{"in": len(input), "now": time.Now().UnixNano()})
	fmt.Println(string(text))
	fmt.Fprintln(os.Stderr, "done")
}
