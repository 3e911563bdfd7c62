package history

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// TestFile: a history that was written and read is judged as before, if all is
// well and if it is not.
func TestFile(t *testing.T) {
	good, bad := recorded(), recorded()
	bad.watches[0].told[1].Events[0].Value = "x"
	bad.calls[0].Begin, bad.calls[0].End = 5, 6
	bad.LeaseSlack = 7
	for _, h := range []*History{good, bad, long(50)} {
		var file bytes.Buffer
		if err := h.Write(&file); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		if got.LeaseSlack != h.LeaseSlack || got.Seen() < 3 {
			t.Errorf("slack %v, seen %d", got.LeaseSlack, got.Seen())
		}
		want, is := h.Judge(), got.Judge()
		if !reflect.DeepEqual(texts(is.Problems), texts(want.Problems)) ||
			is.Calls != want.Calls || is.Told != want.Told || is.Revisions != want.Revisions {
			t.Errorf("%+v, want %+v", is, want)
		}
	}
}

func texts(problems []*Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.Error())
	}
	return list
}

func TestNoHistory(t *testing.T) {
	for text, want := range map[string]string{
		"": "no witness", "{": "line 1", "{}\n": "line 1 of the history holds nothing",
		`{"call":{}}` + "\n" + `{"told":[{}]}`: "line 2",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
