package wire

const (
	messageRaft     = 1<<2 | kindStruct
	messageRequest  = 2<<2 | kindStruct
	messageResponse = 3<<2 | kindStruct
	messageGreeting = 4<<2 | kindStruct
)

// AppendMessage appends the encoding of m to buf. Of m exactly one field is
// set, and a raft message is of a type that travels (see Travels).
func AppendMessage(buf []byte, m *Message) []byte {
	switch {
	case m.Raft != nil:
		buf = appendRaft(append(buf, messageRaft), m.Raft)
	case m.Request != nil:
		buf = appendRequest(append(buf, messageRequest), m.Request)
	case m.Response != nil:
		buf = appendResponse(append(buf, messageResponse), m.Response)
	case m.Greeting != nil:
		buf = appendGreeting(append(buf, messageGreeting), m.Greeting)
	}
	return appendEnd(buf)
}

// DecodeMessage decodes the message at the front of data and returns what
// follows it. It returns ErrMalformed for anything that AppendMessage would
// not write, a kind of message or operation that it does not know included;
// unknown fields of known structs are skipped. All byte slices of the
// message alias data, and a raft message's entries share one allocation: a
// holder of one of them keeps all of them and data alive.
func DecodeMessage(data []byte) (m Message, rest []byte, err error) {
	r := reader{buf: data}
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case messageRaft:
			m.Raft = r.raft()
			r.require(Travels(m.Raft.Msg.GetType()))
		case messageRequest:
			m.Request = new(Request)
			r.request(m.Request)
		case messageResponse:
			m.Response = new(Response)
			r.response(m.Response)
		case messageGreeting:
			m.Greeting = r.greeting()
		default:
			r.skip(tag)
		}
	}
	r.require(exactlyOne(m.Raft != nil, m.Request != nil, m.Response != nil,
		m.Greeting != nil))
	if rest, err = r.finish(); err != nil {
		return Message{}, nil, err
	}
	return m, rest, nil
}

func exactlyOne(set ...bool) bool { return countSet(set) == 1 }
func atMostOne(set ...bool) bool  { return countSet(set) <= 1 }

func countSet(set []bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}
