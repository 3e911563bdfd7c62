package wire

import (
	"math"

	"github.com/miruvor/miruvor/internal/kv"
)

const (
	gatherAt    = 1<<2 | kindUint
	gatherReads = 2<<2 | kindList

	gatherReadRange = 1<<2 | kindStruct

	gatheredParts = 1<<2 | kindList

	gatheredPartCode  = 1<<2 | kindUint
	gatheredPartText  = 2<<2 | kindBytes
	gatheredPartRange = 3<<2 | kindStruct

	// What the shortest elements take: both always have their range.
	gatherReadSizeMin   = 3
	gatheredPartSizeMin = 3
)

func appendGather(buf []byte, q *Gather) []byte {
	buf = appendUint(buf, gatherAt, uint64(q.At))
	buf = appendElements(buf, gatherReads, q.Reads, appendGatherRead)
	return appendEnd(buf)
}

func (r *reader) gather(out *Gather) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case gatherAt:
			out.At = kv.Revision(r.uint())
		case gatherReads:
			out.Reads = elements(r, gatherReadSizeMin, (*reader).gatherRead)
		default:
			r.skip(tag)
		}
	}
}

func appendGatherRead(buf []byte, q *kv.RangeRequest) []byte {
	return appendEnd(appendRange(append(buf, gatherReadRange), q))
}

func (r *reader) gatherRead(out *kv.RangeRequest) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case gatherReadRange:
			r.rangeRequest(out)
		default:
			r.skip(tag)
		}
	}
}

func appendGathered(buf []byte, p *Gathered) []byte {
	return appendEnd(appendElements(buf, gatheredParts, p.Parts, appendGatheredPart))
}

func (r *reader) gathered(out *Gathered) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case gatheredParts:
			out.Parts = elements(r, gatheredPartSizeMin, (*reader).gatheredPart)
		default:
			r.skip(tag)
		}
	}
}

func appendGatheredPart(buf []byte, p *GatheredPart) []byte {
	buf = appendUint(buf, gatheredPartCode, uint64(p.Code))
	buf = appendString(buf, gatheredPartText, p.Text)
	buf = appendRangeResponse(append(buf, gatheredPartRange), &p.Range)
	return appendEnd(buf)
}

func (r *reader) gatheredPart(out *GatheredPart) {
	for tag := r.tag(); tag != tagEnd; tag = r.tag() {
		switch tag {
		case gatheredPartCode:
			out.Code = Code(r.uintMax(math.MaxUint8))
		case gatheredPartText:
			out.Text = r.string()
		case gatheredPartRange:
			r.rangeResponse(&out.Range)
		default:
			r.skip(tag)
		}
	}
}
