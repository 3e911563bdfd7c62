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

// A client takes part in the same store over HTTP: it compares and sets, and
// scans.
func Example_client() {
	server := httptest.NewServer(httpapi.New(kvfake.New(), httpapi.Options{}))
	defer server.Close()
	client, err := httpclient.New(httpclient.Options{Endpoints: []string{server.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx := context.Background()
	for _, who := range []string{"ann", "bob"} {
		key := []byte("leader")
		resp, err := client.Txn(ctx, kv.TxnRequest{
			Compares: []kv.Compare{{Key: key, Target: kv.CompareVersion, Number: 0}},
			Success:  []kv.Op{{Put: &kv.PutRequest{Key: key, Value: []byte(who)}}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(who, "leads:", resp.Succeeded)
	}
	for pair, err := range client.Scan(ctx, kv.RangeRequest{}) {
		fmt.Printf("%s = %s (%v)\n", pair.Key, pair.Value, err)
	}
	// Output:
	// ann leads: true
	// bob leads: false
	// leader = ann (<nil>)
}
