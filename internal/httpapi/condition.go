package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/miruvor/miruvor/internal/kv"
	"github.com/miruvor/miruvor/internal/kvjson"
)

// conditions are those of RFC 9110, section 13. The entity tag of a key is
// its mod revision in quotes; for curl's sake the quotes may be left out.
type conditions struct {
	match     tags
	noneMatch tags
}

// tags is the content of If-Match or If-None-Match.
type tags struct {
	given bool
	// any is "*": whatever there is.
	any bool
	// revisions are those listed, foreignTag for a tag that is not ours.
	revisions []kv.Revision
}

// foreignTag is no key's mod revision.
const foreignTag kv.Revision = -1

func parseConditions(header http.Header) (conditions, error) {
	// Indexing with canonical names costs nothing where there are none.
	match, noneMatch := header["If-Match"], header["If-None-Match"]
	if match == nil && noneMatch == nil {
		return conditions{}, nil
	}
	var c conditions
	var err error
	if c.match, err = parseTags("If-Match", match); err != nil {
		return c, err
	}
	c.noneMatch, err = parseTags("If-None-Match", noneMatch)
	return c, err
}

func parseTags(name string, lines []string) (tags, error) {
	t := tags{given: len(lines) > 0}
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		item = strings.TrimSpace(item)
		switch tag, weak := strings.CutPrefix(item, "W/"); {
		case item == "":
		case item == "*":
			t.any = true
		case weak && name == "If-Match":
			// It wants a strong comparison, which no weak tag passes.
			t.revisions = append(t.revisions, foreignTag)
		default:
			revision, err := parseTag(tag)
			if err != nil {
				return t, kv.Invalid(`%s is %q, it must be * or tags like "42"`, name, item)
			}
			t.revisions = append(t.revisions, revision)
		}
	}
	if t.given && !t.any && len(t.revisions) == 0 {
		return t, kv.Invalid("%s is empty", name)
	}
	return t, nil
}

func parseTag(tag string) (kv.Revision, error) {
	text := tag
	quoted := len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
	if quoted {
		text = tag[1 : len(tag)-1]
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil && n > 0 && text == strconv.FormatInt(n, 10):
		return kv.Revision(n), nil
	case quoted && !strings.Contains(text, `"`):
		return foreignTag, nil
	}
	return 0, kv.Invalid("not an entity tag")
}

// none tells that there are no conditions.
func (c conditions) none() bool { return !c.match.given && !c.noneMatch.given }

// hold tells whether both conditions hold for a key's version, nil for none.
func (c conditions) hold(pair *kv.KeyValue) bool {
	return c.match.holds(pair) && !(c.noneMatch.given && c.noneMatch.matches(pair))
}

// holds is If-Match.
func (t tags) holds(pair *kv.KeyValue) bool { return !t.given || t.matches(pair) }

// matches tells whether one of t is the version's, nil for none.
func (t tags) matches(pair *kv.KeyValue) bool {
	return pair != nil && (t.any || slices.Contains(t.revisions, pair.ModRevision))
}

// compares is c as the condition of a transaction.
func (c conditions) compares(key []byte) ([]kv.Compare, error) {
	var list []kv.Compare
	add := func(target kv.Target, relation kv.Relation, number kv.Revision) {
		list = append(list, kv.Compare{
			Key: key, Target: target, Relation: relation, Number: int64(number),
		})
	}
	switch {
	case c.match.any:
		add(kv.CompareVersion, kv.NotEqual, 0)
	case len(c.match.revisions) > 1:
		return nil, kv.Invalid("If-Match has %d tags, a write takes one", len(c.match.revisions))
	case c.match.given:
		add(kv.CompareMod, kv.Equal, c.match.revisions[0])
	}
	if c.noneMatch.any {
		add(kv.CompareVersion, kv.Equal, 0)
	}
	for _, revision := range c.noneMatch.revisions {
		add(kv.CompareMod, kv.NotEqual, revision)
	}
	return list, nil
}

// preconditionFailed tells what is there instead, nil for nothing.
func preconditionFailed(w http.ResponseWriter, current *kv.KeyValue) error {
	if current == nil {
		return problemError{kvjson.PreconditionFailed.New("there is no such key")}
	}
	describeKey(w.Header(), current)
	detail := "the key's tag is " + etag(current.ModRevision)
	return problemError{kvjson.PreconditionFailed.New(detail)}
}
