package page

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"holdfast/client"
)

// known remembers for some seconds who has a session: a page of many parts asks once. What the person may do is decided by the API each time.
type known struct {
	mu   sync.Mutex
	list map[[sha256.Size]byte]seen // guarded by mu; by token
}

type seen struct {
	who *client.Who
	at  time.Time
}

const (
	knownFor  = 10 * time.Second
	mostKnown = 4096
)

func (k *known) who(ctx context.Context, api *client.Client, token string, now time.Time) (*client.Who, error) {
	sum := sha256.Sum256([]byte(token))
	k.mu.Lock()
	s, ok := k.list[sum]
	k.mu.Unlock()
	if ok && now.Sub(s.at) < knownFor && now.Sub(s.at) >= 0 {
		return s.who, nil
	}
	who, err := api.WhoAmI(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil || len(k.list) >= mostKnown {
		k.list = map[[sha256.Size]byte]seen{}
	}
	k.list[sum] = seen{&who, now}
	return &who, nil
}

// forget is for a session that has ended.
func (k *known) forget(token string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.list, sha256.Sum256([]byte(token)))
}

// asAPI is the error of the API that an error is.
func asAPI(err error) (*client.Error, bool) { return errors.AsType[*client.Error](err) }
