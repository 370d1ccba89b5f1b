// Calls FilterWorkers at a steady rate, whatever becomes of the calls before, and writes a line of JSON for each call:
// when it began, how long it took, how it ended and what was answered. Beside that it makes calls on connections of
// their own, and asks for health over HTTP, as an orchestrator does.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

const (
	unary = "/dcsidecar.v1.RoutingService/FilterWorkers"
	// Stands in a request where each call writes a number of its own, so that no two requests are equal.
	placeholder = "################"
)

// raw passes bytes through: what they mean is checked elsewhere.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "proto" }

// line is one call. Kind: call (on the steady connection), fresh (on one of its own), health (HTTP).
type line struct {
	Kind    string `json:"kind"`
	Began   int64  `json:"began_ns"` // monotonic, as Python's time.monotonic_ns
	Took    int64  `json:"took_ns"`
	Late    int64  `json:"late_ns"` // how much later than planned it began: the noise of this machine
	Request int    `json:"request"`
	Code    string `json:"code"`
	Said    string `json:"said,omitempty"`
	Answer  []byte `json:"answer,omitempty"`
}

var (
	out   = bufio.NewWriterSize(os.Stdout, 1<<20)
	lock  sync.Mutex
	loops sync.WaitGroup
	calls sync.WaitGroup
	began = time.Now()
	zero  = monotonic()
)

func monotonic() int64 {
	var spec syscall.Timespec
	// CLOCK_MONOTONIC, which Python reads too.
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&spec)), 0)
	return spec.Nano()
}

func tell(entry line) {
	lock.Lock()
	defer lock.Unlock()
	_ = json.NewEncoder(out).Encode(entry)
}

func flush() {
	lock.Lock()
	defer lock.Unlock()
	out.Flush()
}

func readRequests(path string) [][]byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var requests [][]byte
	for len(data) > 0 {
		size := binary.BigEndian.Uint32(data)
		requests = append(requests, data[4:4+size])
		data = data[4+size:]
	}
	return requests
}

func connect(target string) *grpc.ClientConn {
	channel, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return channel
}

func invoke(channel *grpc.ClientConn, request []byte, within time.Duration) (string, string, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var response []byte
	err := channel.Invoke(ctx, unary, &request, &response)
	if err == nil {
		return "OK", "", response
	}
	return status.Code(err).String(), err.Error(), nil
}

func ask(url string, within time.Duration) (string, string) {
	client := &http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "FAILED", err.Error()
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err != nil {
		return "FAILED", err.Error()
	}
	return fmt.Sprint(response.StatusCode), string(said)
}

// steadily begins `do` at a rate, each on its own, until told to stop.
func steadily(stop <-chan struct{}, every time.Duration, do func(number int, late time.Duration)) {
	defer loops.Done()
	next := time.Now()
	for number := 0; ; number++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Until(next)):
		}
		late := time.Since(next)
		calls.Add(1)
		go func() {
			defer calls.Done()
			do(number, late)
		}()
		next = next.Add(every)
	}
}

func main() {
	log.SetFlags(0)
	target := flag.String("target", "", "where the sidecar listens for gRPC")
	path := flag.String("requests", "", "file of requests, each after its length in 4 bytes")
	rate := flag.Float64("rate", 200, "calls a second")
	within := flag.Duration("within", 5*time.Second, "deadline of a call")
	fresh := flag.Duration("fresh", 250*time.Millisecond, "time between calls on a connection of their own")
	health := flag.String("health", "", "URL to ask for health, such as http://127.0.0.1:8080/healthz; none: do not ask")
	patience := flag.Duration("patience", 3*time.Second, "how long a health check may take")
	flag.Parse()
	encoding.RegisterCodec(raw{})
	requests := readRequests(*path)
	channel := connect(*target)
	defer channel.Close()

	stop := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	since := func(at time.Time) int64 { return zero + at.Sub(began).Nanoseconds() }
	request := func(number int) []byte {
		chosen := requests[number%len(requests)]
		if at := bytes.Index(chosen, []byte(placeholder)); at >= 0 {
			chosen = bytes.Clone(chosen)
			copy(chosen[at:], fmt.Sprintf("%016d", time.Now().UnixNano()%1e15))
		}
		return chosen
	}

	loops.Add(1)
	go steadily(stop, time.Duration(float64(time.Second) / *rate), func(number int, late time.Duration) {
		bytes := request(number)
		at := time.Now()
		code, said, answer := invoke(channel, bytes, *within)
		tell(line{"call", since(at), int64(time.Since(at)), int64(late), number % len(requests), code, said, answer})
	})
	loops.Add(1)
	go steadily(stop, *fresh, func(number int, late time.Duration) {
		bytes := request(number)
		at := time.Now()
		own := connect(*target)
		defer own.Close()
		code, said, answer := invoke(own, bytes, *within)
		tell(line{"fresh", since(at), int64(time.Since(at)), int64(late), number % len(requests), code, said, answer})
	})
	if *health != "" {
		loops.Add(1)
		go steadily(stop, *fresh, func(_ int, late time.Duration) {
			at := time.Now()
			code, said := ask(*health, *patience)
			tell(line{"health", since(at), int64(time.Since(at)), int64(late), -1, code, said, nil})
		})
	}
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			flush()
		}
	}()
	<-signals
	close(stop)
	loops.Wait()
	calls.Wait()
	flush()
}
