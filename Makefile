# The verbs of this repository. CI runs the same ones (.ci/run).
.DEFAULT_GOAL := help
.PHONY: help build demo test check sim fuzz bench fmt

export SEEDS FIRST FUZZTIME

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

sim: ## simulate whole clusters: SEEDS=300 FIRST=1
	tools/sim

fuzz: ## every fuzz target for a while: FUZZTIME=20s
	tools/fuzz

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

fmt: ## format the source with gofumpt
	go tool -modfile=tools/go.mod gofumpt -w .
