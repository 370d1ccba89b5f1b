// The gRPC side of the tests of xDS: `grpcpeer serve` is a server of a datacenter, which answers with its name, and
// `grpcpeer call` a client of xds:///APP, which writes a line for each call: when it ended (Unix nanoseconds), and the
// answer or the error.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

const method = "/test.Datacenter/Name"

// raw passes bytes through: the tests have no messages of their own.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "raw" }

func main() {
	if len(os.Args) < 2 {
		log.Fatal("expected serve or call")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	name := flags.String("name", "", "the answer of the server")
	listen := flags.String("listen", "127.0.0.1:0", "the address of the server")
	target := flags.String("target", "", "what to call")
	calls := flags.Int("calls", 0, "end after so many calls; 0: never")
	every := flags.Duration("every", 0, "pause between the calls of one goroutine")
	parallel := flags.Int("parallel", 1, "goroutines that call")
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	if os.Args[1] == "serve" {
		serve(*listen, *name)
	} else {
		call(*target, *calls, *every, *parallel)
	}
}

func serve(address, name string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	answer := []byte(name)
	handler := func(_ any, stream grpc.ServerStream) error {
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		return stream.SendMsg(&answer)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(handler))
	log.Fatal(server.Serve(listener))
}

func call(target string, calls int, every time.Duration, parallel int) {
	connection, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	lines := make(chan string, 1024)
	var callers sync.WaitGroup
	for range parallel {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for made := 0; calls == 0 || made < calls/parallel; made++ {
				lines <- once(connection)
				time.Sleep(every)
			}
		}()
	}
	go func() {
		callers.Wait()
		close(lines)
	}()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for line := range lines {
		fmt.Fprintln(out, line)
		if len(lines) == 0 {
			out.Flush()
		}
	}
}

func once(connection *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var request, answer []byte
	err := connection.Invoke(ctx, method, &request, &answer)
	at := time.Now().UnixNano()
	if err != nil {
		found := status.Convert(err)
		return fmt.Sprintf("%d !%s %s", at, found.Code(), strings.ReplaceAll(found.Message(), "\n", " "))
	}
	return fmt.Sprintf("%d %s", at, answer)
}
