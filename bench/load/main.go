// Calls FilterWorkers as fast as answers come, with requests given as bytes, and tells rates and latencies as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
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
	// Stands in a request where each call is to write a number of its own, so that no two requests are equal.
	placeholder = "################"
)

// raw passes bytes through: encoding and decoding is none of what is measured.
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

// source hands out requests in turn, each made unlike all others where it holds the placeholder.
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
	latencies := make([][]time.Duration, *concurrency)
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
				latencies[worker] = converse(channel, from, deadline, *window, &failed)
			} else {
				latencies[worker] = call(channel, from, deadline, &failed)
			}
		}()
	}
	workers.Wait()
	tell(latencies, failed.Load(), time.Since(start))
}

func call(channel *grpc.ClientConn, from *source, deadline time.Time, failed *atomic.Int64) []time.Duration {
	var taken []time.Duration
	for time.Now().Before(deadline) {
		request := from.next()
		var response []byte
		began := time.Now()
		if err := channel.Invoke(context.Background(), unary, &request, &response); err != nil {
			if failed.Add(1) == 1 {
				log.Println(err)
			}
			continue
		}
		taken = append(taken, time.Since(began))
	}
	return taken
}

// converse keeps `window` requests of one stream under way.
func converse(channel *grpc.ClientConn, from *source, deadline time.Time, window int, failed *atomic.Int64) []time.Duration {
	description := &grpc.StreamDesc{StreamName: "FilterWorkersStream", ServerStreams: true, ClientStreams: true}
	talk, err := channel.NewStream(context.Background(), description, stream)
	if err != nil {
		log.Fatal(err)
	}
	var taken []time.Duration
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
		taken = append(taken, time.Since(sent))
	}
	return taken
}

func tell(latencies [][]time.Duration, failed int64, took time.Duration) {
	all := slices.Concat(latencies...)
	slices.Sort(all)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[min(len(all)-1, int(share*float64(len(all))))].Nanoseconds()) / 1000
	}
	json.NewEncoder(os.Stdout).Encode(result{int64(len(all)), failed, took.Seconds(), at(0.5), at(0.99), at(0.999), at(1)})
}
