package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

// holdings are what lies in the store, as it was last counted. They never change.
type holdings struct {
	Counted time.Time `json:"counted"`
	Kinds   []holding `json:"kinds"` // in the order of kindNames
}

// holding is what lies in the store of one kind.
type holding struct {
	Kind    string `json:"kind"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// kindNames are the kinds of objects: of larder's own three, with those that go with them as
// others, and those that other tools keep.
var kindNames = [...]string{"packs", "manifests", "entries", "others", "cache", actionCache, contentStorage}

// kindOf returns the kind of the object under key. Package cache says how larder's own keys are
// made: v1/<scope>/<letter>/…
func kindOf(key string) string {
	first, rest, _ := strings.Cut(key, "/")
	if first != "v1" {
		return first
	}
	_, name, _ := strings.Cut(rest, "/")
	switch letter, _, _ := strings.Cut(name, "/"); letter {
	case "p":
		return "packs"
	case "m":
		return "manifests"
	case "a":
		return "entries"
	}
	return "others"
}

// survey is a listing of the store.
type survey struct {
	kinds   [len(kindNames)]holding
	foreign []backend.Object // what other tools keep
}

// foreign are how the keys begin of what other tools than larder keep.
var foreign = []string{cacheFolder, actionCache + "/", contentStorage + "/"}

// survey lists the store.
func (s *Server) survey(ctx context.Context) (*survey, error) {
	v := new(survey)
	for i, name := range kindNames {
		v.kinds[i].Kind = name
	}
	for obj, err := range s.Store.List(ctx, "v1/") {
		if err != nil {
			return nil, err
		}
		v.add(obj, 1)
	}
	for _, prefix := range foreign {
		for obj, err := range s.Store.List(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			v.add(obj, 1)
			v.foreign = append(v.foreign, obj)
		}
	}
	return v, nil
}

// add counts obj n times.
func (v *survey) add(obj backend.Object, n int64) {
	kind := &v.kinds[slices.Index(kindNames[:], kindOf(obj.Key))]
	kind.Objects += n
	kind.Bytes += n * obj.Size
}

// bytes returns how many bytes lie in the store, of larder's own objects and of others.
func (v *survey) bytes() (own, others int64) {
	for _, k := range v.kinds {
		if slices.Contains(foreign, k.Kind+"/") {
			others += k.Bytes
		} else {
			own += k.Bytes
		}
	}
	return own, others
}

// publish has the server tell what v has found.
func (s *Server) publish(v *survey) {
	s.held.Store(&holdings{time.Now(), v.kinds[:]})
}

// stored returns what lies in the store, or nil if nobody has counted it.
func (s *Server) stored() *holdings { return s.held.Load() }

// Survey counts what lies in the store, for what the server tells of itself. It needs a store
// that lists. Evict counts, too.
func (s *Server) Survey(ctx context.Context) error {
	v, err := s.survey(ctx)
	if err != nil {
		return fmt.Errorf("survey: %w", err)
	}
	s.publish(v)
	return nil
}
