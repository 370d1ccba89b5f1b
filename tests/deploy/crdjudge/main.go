// Judges manifests as the API server of a cluster with these CRDs does: defaults, then schema, then the rules in CEL.
//
// The arguments are files with CRDs; on standard input is a JSON list of manifests. A line is written for each problem,
// and the status is 1 if there is one.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	// Whole numbers stay whole, as the rules expect.
	var manifests []any
	if err := utiljson.Unmarshal(input, &manifests); err != nil {
		log.Fatal(err)
	}
	wanted := map[string][]map[string]any{}
	for _, each := range manifests {
		manifest := each.(map[string]any)
		name := fmt.Sprintf("%v %v", manifest["apiVersion"], manifest["kind"])
		wanted[name] = append(wanted[name], manifest)
	}
	problems := 0
	for _, file := range os.Args[1:] {
		judged, err := judgeBy(file, wanted)
		if err != nil {
			log.Fatalf("%s: %v", file, err)
		}
		for _, problem := range judged {
			problems++
			fmt.Println(problem)
		}
	}
	if len(wanted) > 0 {
		log.Fatalf("no CRD of %v", wanted)
	}
	if problems > 0 {
		os.Exit(1)
	}
}

// judgeBy returns the problems of the manifests whose CRDs a file has, and takes them out of `wanted`.
func judgeBy(file string, wanted map[string][]map[string]any) (field.ErrorList, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var found field.ErrorList
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		var crd v1.CustomResourceDefinition
		if err := documents.Decode(&crd); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		for _, version := range crd.Spec.Versions {
			name := fmt.Sprintf("%s/%s %s", crd.Spec.Group, version.Name, crd.Spec.Names.Kind)
			for _, manifest := range wanted[name] {
				problems, err := judge(version.Schema.OpenAPIV3Schema, manifest)
				if err != nil {
					return nil, err
				}
				found = append(found, problems...)
			}
			delete(wanted, name)
		}
	}
}

func judge(given *v1.JSONSchemaProps, manifest map[string]any) (field.ErrorList, error) {
	var internal apiextensions.JSONSchemaProps
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(given, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, err
	}
	defaulting.Default(manifest, structural)
	found := validation.ValidateCustomResource(nil, manifest, validator)
	if rules := cel.NewValidator(structural, true, celconfig.PerCallLimit); len(found) == 0 && rules != nil {
		found, _ = rules.Validate(
			context.Background(), nil, structural, manifest, nil, celconfig.RuntimeCELCostBudget)
	}
	return found, nil
}
