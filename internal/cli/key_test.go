package cli

import "testing"

func TestKeysAreShownAsTheyAreOrQuoted(t *testing.T) {
	for key, want := range map[string]string{
		"user/alice": "user/alice", "two words": "two words", "grün": "grün",
		"": `""`, " padded": `" padded"`, "tab\t": `"tab\t"`, "\xff": `"\xff"`,
		"\x00": `"\x00"`, `"quoted"`: `"\"quoted\""`, "line\n": `"line\n"`,
		"\u202eright to left": `"\u202eright to left"`,
	} {
		if got := printable([]byte(key)); got != want {
			t.Errorf("%q is shown as %s, want %s", key, got, want)
		}
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"}} {
		if got := shortened(test.text, test.most); got != test.want {
			t.Errorf("%s cut to %d is %s, want %s", test.text, test.most, got, test.want)
		}
	}
}
