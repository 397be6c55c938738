.PHONY: build test bench lint

build:
	go build -trimpath -ldflags "-s -w" .

test:
	go test -timeout 20m ./integration ./...

bench:
	go test -run '^$$' -bench . ./...

lint:
	golangci-lint run
