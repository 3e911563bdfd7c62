package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/miruvor/miruvor/internal/httpapi"
	"github.com/miruvor/miruvor/internal/kv/kvfake"
)

// A key is set and read over HTTP.
func ExampleNew() {
	server := httptest.NewServer(httpapi.New(kvfake.New(), httpapi.Options{}))
	defer server.Close()

	url := server.URL + "/v1/kv/greeting"
	put, _ := http.NewRequest(http.MethodPut, url, strings.NewReader("hello"))
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, "at revision", resp.Header.Get("Miruvor-Revision"))

	resp, err = http.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	value, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s, tag %s\n", value, resp.Header.Get("ETag"))
	// Output:
	// 201 Created at revision 2
	// hello, tag "2"
}
