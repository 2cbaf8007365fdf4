module {{name}}

go 1.24

require github.com/petrel-telemetry/petrel/sdk/go v0.1.0

replace github.com/petrel-telemetry/petrel/sdk/go => {{sdk}}
