package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame is what connections carry:
//
//	length u32 | checksum u32 | kind u8 | payload
//
// Numbers are little-endian, length is the payload's, and the checksum
// (CRC-32C) is that of kind and payload.
const frameHeaderBytes = 9

// payloadStepBytes is how much is allocated on the word of a length alone.
// Beyond it, memory follows what has arrived.
const payloadStepBytes = 1 << 20

type frameKind uint8

const (
	frameHello          frameKind = 1 // see handshake.go
	frameRefusal        frameKind = 2 // why, as text; then the sender closes
	frameAgreed         frameKind = 3 // empty: the handshake is over, or all was taken
	frameIdle           frameKind = 4 // empty: a sign of life
	frameMessages       frameKind = 5 // see batch.go
	frameSnapshotHeader frameKind = 6 // wire.SnapshotHeader
	frameSnapshotChunk  frameKind = 7 // see chunk.go
	frameSnapshotEnd    frameKind = 8 // how much there was
	frameSnapshotAbort  frameKind = 9 // the sender gives up: why, as text
	// frameSnapshotResult is the receiver's outcome: empty, or why not.
	frameSnapshotResult frameKind = 10
)

// errFrame is bytes that are no frame.
var (
	errFrame    = errors.New("bad frame")
	errChecksum = fmt.Errorf("%w: it fails its checksum", errFrame)
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// beginFrame reuses buf for a frame; the payload is to be appended.
func beginFrame(buf []byte) []byte {
	return append(buf[:0], make([]byte, frameHeaderBytes)...)
}

// sealFrame fills in the header of a frame that beginFrame began.
func sealFrame(frame []byte, kind frameKind) []byte {
	frame[8] = byte(kind)
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-frameHeaderBytes))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
	return frame
}

// newFrame is a whole frame with the payload.
func newFrame[T []byte | string](kind frameKind, payload T) []byte {
	return sealFrame(append(beginFrame(nil), payload...), kind)
}

// readFrame reads one frame whose payload is at most payloadMax bytes. The
// caller owns the payload. An end between frames is io.EOF.
func readFrame(r io.Reader, payloadMax int) (frameKind, []byte, error) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	if uint64(size) > uint64(payloadMax) {
		return 0, nil, fmt.Errorf("%w: %d bytes are over the limit of %d",
			errFrame, size, payloadMax)
	}
	payload, err := readPayload(r, int(size))
	if err != nil {
		return 0, nil, err
	}
	sum := crc32.Update(crc32.Checksum(header[8:], castagnoli), castagnoli, payload)
	if sum != binary.LittleEndian.Uint32(header[4:]) {
		return 0, nil, errChecksum
	}
	return frameKind(header[8]), payload, nil
}

func readPayload(r io.Reader, size int) ([]byte, error) {
	payload := make([]byte, min(size, payloadStepBytes))
	for done := 0; done < size; {
		if done == len(payload) {
			payload = append(payload, make([]byte, min(size-done, done))...)
		}
		n, err := io.ReadFull(r, payload[done:])
		if err != nil {
			return nil, noEOF(err)
		}
		done += n
	}
	return payload, nil
}

// noEOF is err where an end is not in order.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
