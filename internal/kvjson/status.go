package kvjson

import "github.com/miruvor/miruvor/internal/kv"

// Status is a kv.Status as JSON; only the bounds of shards look different.
type Status struct {
	kv.Status
	Shards []Shard `json:"shards"`
}

// Shard is a kv.ShardStatus. A missing end is no bound.
type Shard struct {
	kv.ShardStatus
	Start       *string `json:"start,omitempty"`
	StartBase64 *string `json:"start_base64,omitempty"`
	End         *string `json:"end,omitempty"`
	EndBase64   *string `json:"end_base64,omitempty"`
}

// NewStatus is s as JSON.
func NewStatus(s kv.Status) Status {
	j := Status{Status: s, Shards: make([]Shard, len(s.Shards))}
	if s.Nodes == nil {
		j.Nodes = []kv.NodeStatus{}
	}
	for i, shard := range s.Shards {
		j.Shards[i].ShardStatus = shard
		j.Shards[i].Start, j.Shards[i].StartBase64 = encode(shard.Start)
		if shard.End != nil {
			j.Shards[i].End, j.Shards[i].EndBase64 = encode(shard.End)
		}
	}
	return j
}

// Decode is the status that j stands for.
func (j *Status) Decode() (kv.Status, error) {
	s := j.Status
	s.Shards = nil
	for i := range j.Shards {
		shard, err := j.Shards[i].decode()
		if err != nil {
			return s, err
		}
		s.Shards = append(s.Shards, shard)
	}
	return s, nil
}

func (j *Shard) decode() (kv.ShardStatus, error) {
	shard := j.ShardStatus
	var err error
	if shard.Start, err = decode("start", j.Start, j.StartBase64); err != nil {
		return shard, err
	}
	shard.End, err = decode("end", j.End, j.EndBase64)
	return shard, err
}
