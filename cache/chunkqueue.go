package cache

import (
	"container/list"
	"sync"

	"github.com/larderbuild/larder/pack"
)

// chunkQueue holds the chunks of packs that are still to be fetched. Its methods
// may be called at the same time. The zero value is empty.
type chunkQueue struct {
	mu      sync.Mutex
	chunks  list.List             // of pack.Chunk
	chunkOf map[int]*list.Element // by entry
}

// push puts chunks behind the others.
func (q *chunkQueue) push(chunks []pack.Chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.chunkOf == nil {
		q.chunkOf = make(map[int]*list.Element)
	}
	for _, c := range chunks {
		queued := q.chunks.PushBack(c)
		for _, i := range c.Entries {
			q.chunkOf[i] = queued
		}
	}
}

// next takes the first chunk out, if there is one.
func (q *chunkQueue) next() (c pack.Chunk, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	front := q.chunks.Front()
	if front == nil {
		return pack.Chunk{}, false
	}
	return q.remove(front), true
}

// take takes the chunk of entry i out, if it is there.
func (q *chunkQueue) take(i int) (c pack.Chunk, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queued := q.chunkOf[i]
	if queued == nil {
		return pack.Chunk{}, false
	}
	return q.remove(queued), true
}

// remove takes out a chunk. The caller holds q.mu.
func (q *chunkQueue) remove(queued *list.Element) pack.Chunk {
	c := q.chunks.Remove(queued).(pack.Chunk)
	for _, i := range c.Entries {
		delete(q.chunkOf, i)
	}
	return c
}

// promote has the chunk of entry i fetched next, unless it is under way.
func (q *chunkQueue) promote(i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if queued := q.chunkOf[i]; queued != nil {
		q.chunks.MoveToFront(queued)
	}
}

func (q *chunkQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.chunks.Len()
}
