package server

import _ "embed"

// openAPI describes the API in OpenAPI 3.1; a test compares it with the handlers.
//
//go:embed openapi.yaml
var openAPI string
