package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of a connection.
const (
	readHeaderTimeout = 10 * time.Second
	// readTimeout bounds how long a body keeps others out of the room.
	readTimeout = 20 * time.Second
	// writeTimeout also bounds a profile's duration. Streams extend it.
	writeTimeout = 60 * time.Second
	idleTimeout  = 2 * time.Minute
	// headerBytesMax leaves room for a path or a query with the longest
	// keys, three bytes a byte when percent-encoded, twice for a range.
	headerBytesMax = 512 << 10
)

// NewServer is a server for the handler that New made, with every time and
// size bounded, over HTTP/1.1. The caller serves and shuts it down; a shutdown
// ends the watches.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Protocols:         &protocols,
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if a, ok := handler.(*api); ok {
		server.RegisterOnShutdown(a.drain)
	}
	return server
}
