// Package kvjson is what HTTP clients and servers of Miruvor say to each
// other: the JSON forms of kv's requests and answers, problem documents, and
// the names of headers.
//
// It owns the forms and both directions of their conversion; routes belong to
// httpapi, connections to httpclient. Three rules hold for every form:
//
//  1. Nothing is lossy. A key or value that is valid UTF-8 is a JSON string;
//     any other goes, base64, under the same name with "_base64" behind it.
//     So {"key":"a","value_base64":"/w=="}. Readers accept either form.
//  2. Nothing is guessed. An unknown field, a missing one, both forms at once,
//     text that JSON cannot hold exactly (invalid UTF-8, half a surrogate
//     pair): each is refused with kv.ErrInvalid and a text that names it.
//  3. Revisions and versions are JSON numbers, as they stay below 2^53. Ids of
//     leases may be any positive int64, so they are strings of digits; numbers
//     are accepted.
package kvjson
