// Load generator: calls FilterWorkers (or POSTs over HTTP) with requests given as bytes, at full speed or at a fixed
// pace, and prints rates and latencies as JSON. It can record each call.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

const (
	unary  = "/dcsidecar.v1.RoutingService/FilterWorkers"
	stream = "/dcsidecar.v1.RoutingService/FilterWorkersStream"
	// Placeholder in a request that each call replaces by its number, so no two requests are equal.
	placeholder = "################"
)

// raw passes bytes through: encoding and decoding are not measured.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "proto" }

type result struct {
	Calls   int64   `json:"calls"`
	Failed  int64   `json:"failed"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Longest float64 `json:"longest_us"`
}

// call is the start of a call, Unix nanoseconds, and its duration.
type call struct {
	began int64
	took  time.Duration
}

// invoke makes one call.
type invoke func(request []byte) error

var counter atomic.Int64

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

// source returns requests in turn, each made unique if it contains the placeholder.
type source struct {
	requests [][]byte
	at       int
}

func (s *source) next() []byte {
	request := s.requests[s.at%len(s.requests)]
	s.at++
	if at := bytes.Index(request, []byte(placeholder)); at >= 0 {
		request = bytes.Clone(request)
		copy(request[at:], fmt.Sprintf("%016d", counter.Add(1)))
	}
	return request
}

func main() {
	log.SetFlags(0)
	target := flag.String("target", "127.0.0.1:50051", "where the server listens")
	path := flag.String("requests", "", "file of requests, each after its length in 4 bytes")
	seconds := flag.Float64("seconds", 1, "how long to call")
	concurrency := flag.Int("concurrency", 16, "calls, or streams, at once")
	connections := flag.Int("connections", 4, "connections that share them")
	window := flag.Int("window", 0, "requests under way on each stream; 0: unary calls")
	post := flag.String("post", "", "path to POST the requests to over HTTP, in place of gRPC")
	every := flag.Duration("every", 0, "begin calls no more often than this, each of the -concurrency")
	record := flag.String("record", "", "file to write each call to: when it began and how long it took, ns, two int64")
	flag.Parse()

	encoding.RegisterCodec(raw{})
	requests := readRequests(*path)
	var channels []*grpc.ClientConn
	for range *connections {
		channel, err := grpc.NewClient(*target, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
		if err != nil {
			log.Fatal(err)
		}
		defer channel.Close()
		channels = append(channels, channel)
	}

	var failed atomic.Int64
	calls := make([][]call, *concurrency)
	start := time.Now()
	deadline := start.Add(time.Duration(*seconds * float64(time.Second)))
	counter.Store(start.UnixNano() % 1_000_000_000_000 * 1000)
	var workers sync.WaitGroup
	for worker := range *concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			from := &source{requests, worker}
			channel := channels[worker%len(channels)]
			if *window > 0 {
				calls[worker] = converse(channel, from, deadline, *window, &failed)
			} else if *post != "" {
				calls[worker] = repeat(over(*target, *post), from, deadline, *every, &failed)
			} else {
				calls[worker] = repeat(on(channel), from, deadline, *every, &failed)
			}
		}()
	}
	workers.Wait()
	took := time.Since(start)
	all := slices.Concat(calls...)
	if *record != "" {
		keep(all, *record)
	}
	tell(all, failed.Load(), took)
}

func on(channel *grpc.ClientConn) invoke {
	return func(request []byte) error {
		var response []byte
		return channel.Invoke(context.Background(), unary, &request, &response)
	}
}

// over returns an invoke function with its own HTTP connection; an answer without a result is a failure.
func over(target, path string) invoke {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	return func(request []byte) error {
		response, err := client.Post("http://"+target+path, "application/json", bytes.NewReader(request))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"result"`))) {
			err = fmt.Errorf("%s: %.200s", response.Status, body)
		}
		return err
	}
}

func repeat(try invoke, from *source, deadline time.Time, every time.Duration, failed *atomic.Int64) []call {
	var made []call
	for began := time.Now(); began.Before(deadline); began = time.Now() {
		request := from.next()
		began = time.Now()
		if err := try(request); err != nil {
			if failed.Add(1) == 1 {
				log.Println(err)
			}
		} else {
			made = append(made, call{began.UnixNano(), time.Since(began)})
		}
		time.Sleep(every - time.Since(began))
	}
	return made
}

// converse keeps `window` requests of one stream in flight.
func converse(channel *grpc.ClientConn, from *source, deadline time.Time, window int, failed *atomic.Int64) []call {
	description := &grpc.StreamDesc{StreamName: "FilterWorkersStream", ServerStreams: true, ClientStreams: true}
	talk, err := channel.NewStream(context.Background(), description, stream)
	if err != nil {
		log.Fatal(err)
	}
	var made []call
	began := make(chan time.Time, window)
	go func() {
		for time.Now().Before(deadline) {
			request := from.next()
			began <- time.Now()
			if err := talk.SendMsg(&request); err != nil {
				break
			}
		}
		close(began)
		talk.CloseSend()
	}()
	for sent := range began {
		var response []byte
		if err := talk.RecvMsg(&response); err != nil {
			log.Println(err)
			failed.Add(1)
			break
		}
		made = append(made, call{sent.UnixNano(), time.Since(sent)})
	}
	return made
}

func keep(calls []call, path string) {
	slices.SortFunc(calls, func(one, other call) int { return cmp.Compare(one.began, other.began) })
	data := make([]byte, 0, 16*len(calls))
	for _, each := range calls {
		data = binary.LittleEndian.AppendUint64(data, uint64(each.began))
		data = binary.LittleEndian.AppendUint64(data, uint64(each.took))
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		log.Fatal(err)
	}
}

func tell(calls []call, failed int64, took time.Duration) {
	slices.SortFunc(calls, func(one, other call) int { return cmp.Compare(one.took, other.took) })
	at := func(share float64) float64 {
		if len(calls) == 0 {
			return 0
		}
		return float64(calls[min(len(calls)-1, int(share*float64(len(calls))))].took.Nanoseconds()) / 1000
	}
	json.NewEncoder(os.Stdout).Encode(result{int64(len(calls)), failed, took.Seconds(), at(0.5), at(0.99), at(0.999), at(1)})
}
