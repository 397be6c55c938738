package redis

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

// pageSize is about how many keys one request of a List looks at.
const pageSize = 1000

// globEscaper makes a text a pattern that matches this text alone.
var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		fail := func(err error) { yield(backend.Object{}, wrap(ctx, "list", prefix, err)) }
		nodes, err := s.nodes(ctx)
		if err != nil {
			fail(err)
			return
		}
		begin := s.Prefix + "{" + escaper.Replace(prefix)
		seen := make(map[string]bool) // a key may come twice
		for _, node := range nodes {
			for cursor := uint64(0); ; {
				var names []string
				names, cursor, err = node.Scan(ctx, cursor, globEscaper.Replace(begin)+"*}", pageSize).Result()
				if err != nil {
					fail(err)
					return
				}
				objects, err := s.look(ctx, node, unseen(names, seen))
				if err != nil {
					fail(err)
					return
				}
				for _, obj := range objects {
					if !yield(obj, nil) {
						return
					}
				}
				if cursor == 0 {
					break
				}
			}
		}
	}
}

// masters returns a client of each server of a cluster that takes puts.
func masters(ctx context.Context, cluster *goredis.ClusterClient) (nodes []*goredis.Client, err error) {
	var mu sync.Mutex // guards nodes
	err = cluster.ForEachMaster(ctx, func(_ context.Context, node *goredis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return nil
	})
	return nodes, err
}

// unseen returns those names that are not seen yet, which they are then.
func unseen(names []string, seen map[string]bool) (fresh []string) {
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			fresh = append(fresh, name)
		}
	}
	return fresh
}

// look returns the objects of names. It leaves out what is none, or is gone.
func (s *store) look(ctx context.Context, node *goredis.Client, names []string) ([]backend.Object, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ask := node.Pipeline()
	clock := ask.Time(ctx)
	fields := make([]*goredis.SliceCmd, len(names))
	for i, name := range names {
		fields[i] = ask.HMGet(ctx, name, "version", "size", "part", "written")
	}
	if err := send(ctx, ask); err != nil {
		return nil, err
	}
	now, err := clock.Result()
	if err != nil {
		return nil, err
	}
	var objects []backend.Object
	for i, name := range names {
		found, err := fields[i].Result()
		if isWrongType(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var o stored
		if !o.describe(found) {
			continue
		}
		key := strings.TrimSuffix(strings.TrimPrefix(name, s.Prefix+"{"), "}")
		obj := o.object(unescaper.Replace(key))
		obj.Written, obj.Listed = written(found[3], now), now
		objects = append(objects, obj)
	}
	return objects, nil
}

// written returns the time that a field says, or now if it says none.
func written(field any, now time.Time) time.Time {
	text, _ := field.(string)
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return now
	}
	return time.UnixMicro(micros)
}
