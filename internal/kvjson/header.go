package kvjson

// Names of headers, in the canonical form that net/http keeps them in.
const (
	// Revision is, on every answer, the revision that it came at.
	Revision = "Miruvor-Revision"
	// CreateRevision, Version and Lease describe the key of an answer; its
	// mod revision is the ETag.
	CreateRevision = "Miruvor-Create-Revision"
	Version        = "Miruvor-Version"
	Lease          = "Miruvor-Lease"
	// PrevRevision is the mod revision of the value that a write with
	// ?prev returns in its body.
	PrevRevision = "Miruvor-Prev-Revision"
	// Watch is, on the answer to a watch, the name that it goes by.
	Watch = "Miruvor-Watch"
	// ETag is the mod revision of a key, in quotes.
	ETag = "Etag"
)

// Media types.
const (
	JSONType   = "application/json"
	NDJSONType = "application/x-ndjson"
	BytesType  = "application/octet-stream"
	TextType   = "text/plain; charset=utf-8"
)
