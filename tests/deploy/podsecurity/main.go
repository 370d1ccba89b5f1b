// Judges pods by the Pod Security Standards, with the code that Kubernetes itself judges them by.
//
// Reads a JSON list of pods (metadata and spec), writes a JSON list of complaints, "" for a pod that is allowed.
// The one argument is the level: baseline or restricted.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	level, err := api.ParseLevel(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		log.Fatal(err)
	}
	var pods []corev1.Pod
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&pods); err != nil {
		log.Fatal(err)
	}
	complaints := make([]string, len(pods))
	for index := range pods {
		pod := &pods[index]
		results := evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
		if total := policy.AggregateCheckResults(results); !total.Allowed {
			complaints[index] = total.ForbiddenDetail()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(complaints); err != nil {
		log.Fatal(err)
	}
}
