package etcdtest

import (
	"strings"
	"testing"
)

func TestScriptsAreKeptAsTheyAre(t *testing.T) {
	for _, text := range []string{
		"",
		"begin\n----\n",
		"# about\n\nbegin\n----\n\n# more\nPut key:\"a\"\n----\nrev=2\n\n# the end\n",
		"Txn\nsuccess:{}\n----\nerror X: y\n\n\nRange\n----\nrev=1\n  kvs \"a\"\n",
	} {
		s, err := Parse("test", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(); got != text {
			t.Errorf("got  %q\nwant %q", got, text)
		}
	}
}

func TestScriptsWithoutAnswers(t *testing.T) {
	s, err := Parse("test", "begin\n\nPut key:\"a\"\n\nwatch s\ncreate key:\"a\"\nprogress\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, step := range s.Steps {
		got = append(got, step.Request)
	}
	want := []string{"begin", `Put key:"a"`, "watch s\ncreate key:\"a\"\nprogress"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, err := Parse("test", "----\nrev=1\n"); err == nil {
		t.Error("an answer without a request was read")
	}
}

func TestAbbreviations(t *testing.T) {
	r := &Runner{lease: "77", member: "5"}
	for text, want := range map[string]string{
		`value:"$4<x>"`:              `value:"xxxx"`,
		`$2<put:{key:"k#"}>`:         `put:{key:"k0"} put:{key:"k1"} `,
		`lease:$lease id:$member $x`: `lease:77 id:5 $x`,
		`$0<a> $1<b>`:                ` b`,
		"text without any of them":   "text without any of them",
	} {
		if got := r.expand(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
