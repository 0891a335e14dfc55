// What the conformance tests in Go need: the official SDK of CloudEvents and its conformance tool.
module nexus.invalid/conformance

go 1.24

tool github.com/cloudevents/conformance/cmd/cloudevents

require github.com/cloudevents/sdk-go/v2 v2.15.2

require (
	github.com/cloudevents/conformance v0.2.0 // indirect
	github.com/google/uuid v1.1.1 // indirect
	github.com/inconshreveable/mousetrap v1.0.0 // indirect
	github.com/json-iterator/go v1.1.10 // indirect
	github.com/modern-go/concurrent v0.0.0-20180228061459-e0a39a4cb421 // indirect
	github.com/modern-go/reflect2 v0.0.0-20180701023420-4b7aa43c6742 // indirect
	github.com/spf13/cobra v0.0.5 // indirect
	github.com/spf13/pflag v1.0.3 // indirect
	go.uber.org/atomic v1.4.0 // indirect
	go.uber.org/multierr v1.1.0 // indirect
	go.uber.org/zap v1.10.0 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)
