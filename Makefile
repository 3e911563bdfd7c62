# The verbs of this repository. CI (.ci/run) runs test, check and sim, and what bench/
# and clients/etcd/ have; kubernetes takes too long to compile for it.
.DEFAULT_GOAL := help
.PHONY: help build demo test check sim fuzz bench kubernetes fmt

export SEEDS FIRST TIME FUZZTIME

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build: ## build ./miruvor, static, without cgo
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o miruvor .

demo: ## three nodes in one process, data in ./miruvor-data
	go run . demo

test: ## all tests
	go test ./...

check: ## formatting, vet, staticcheck, go fix, tidy, vulnerabilities, race tests
	tools/check

sim: ## simulate whole clusters: SEEDS=300 FIRST=1, or TIME=30s
	tools/sim

fuzz: ## every fuzz target for a while: FUZZTIME=20s
	tools/fuzz

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

kubernetes: ## Kubernetes' tests of its storage, on Miruvor; compiles for minutes
	cd clients/kubernetes && go vet ./... && go test .

fmt: ## format the source with gofumpt
	go tool -modfile=tools/go.mod gofumpt -w .
