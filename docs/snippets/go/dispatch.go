// Dispatch selects the workers for one job by the sidecar's answer, or all of them without an answer in time.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	sidecar "dispatch/dcsidecar/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// selectWorkers returns the workers that may run the job now.
func selectWorkers(client sidecar.RoutingServiceClient, app, job string, workers []*sidecar.Worker) []*sidecar.Worker {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	answer, err := client.FilterWorkers(ctx, &sidecar.FilterWorkersRequest{
		App: app, Job: job, Candidates: workers, IndicesOnly: true, Dispatch: true,
	})
	if err != nil {
		log.Printf("no answer from the sidecar, every worker may run job %s: %v", job, err)
		return workers
	}
	var selected []*sidecar.Worker
	for _, index := range answer.Indices {
		selected = append(selected, workers[index])
	}
	return selected
}

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	workers := []*sidecar.Worker{
		{Address: "10.1.0.7:27777", Metrics: "dc1"},
		{Address: "10.2.0.9:27777", Metrics: "dc2"},
		{Address: "10.3.0.4:27777", Tag: "dc2"},
	}
	fmt.Print("run job 1001 on")
	for _, worker := range selectWorkers(sidecar.NewRoutingServiceClient(connection), "billing", "1001", workers) {
		fmt.Print(" ", worker.Address)
	}
	fmt.Println()
}
