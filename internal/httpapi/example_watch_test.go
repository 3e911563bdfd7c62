package httpapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/httpclient"
	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// A client lists keys and then watches what changes from there on, so it
// misses nothing and sees nothing twice.
func Example_watch() {
	server := httptest.NewServer(httpapi.New(kvfake.New(), httpapi.Options{}))
	defer server.Close()
	client, err := httpclient.New(httpclient.Options{Endpoints: []string{server.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx := context.Background()
	users := kv.PrefixRange([]byte("user/"))
	list, err := client.Range(ctx, kv.RangeRequest{Range: users})
	if err != nil {
		fmt.Println(err)
		return
	}
	stream, err := client.Watch(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	if _, err := stream.Add(kv.WatchRequest{Range: users, From: list.Revision + 1}); err != nil {
		fmt.Println(err)
		return
	}
	for _, who := range []string{"ann", "bob"} {
		put := kv.PutRequest{Key: []byte("user/" + who), Value: []byte("hi")}
		if _, err := kv.Put(ctx, client, put); err != nil {
			fmt.Println(err)
			return
		}
	}
	for range 2 {
		resp, err := stream.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, event := range resp.Events {
			fmt.Printf("%d: %s = %s\n", resp.Revision, event.KV.Key, event.KV.Value)
		}
	}
	// Output:
	// 2: user/ann = hi
	// 3: user/bob = hi
}
