// Dispatch chooses the workers for one job: as the sidecar says, or all of them where it says nothing in time.
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

// choose returns the workers that may run the job now.
func choose(client sidecar.RoutingServiceClient, app, job string, workers []*sidecar.Worker) []*sidecar.Worker {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	answer, err := client.FilterWorkers(ctx, &sidecar.FilterWorkersRequest{
		App: app, Job: job, Candidates: workers, IndicesOnly: true,
	})
	if err != nil {
		log.Printf("the sidecar gives no answer, every worker may run job %s: %v", job, err)
		return workers
	}
	var chosen []*sidecar.Worker
	for _, index := range answer.Indices {
		chosen = append(chosen, workers[index])
	}
	return chosen
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
	for _, worker := range choose(sidecar.NewRoutingServiceClient(connection), "billing", "1001", workers) {
		fmt.Print(" ", worker.Address)
	}
	fmt.Println()
}
