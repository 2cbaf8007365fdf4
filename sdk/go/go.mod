module github.com/petrel-telemetry/petrel/sdk/go

go 1.24
