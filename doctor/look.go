package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/site"
)

// Inspect reads a configuration file and looks at the machine it is for, which has to be this one. It writes and removes one small file
// in the data directory. The error is that the file cannot be read as a configuration at all.
func Inspect(file string, now time.Time) (*Machine, error) {
	c, err := site.Load(file)
	problems, checked := errors.AsType[site.Problems](err)
	if err != nil && (!checked || c.Timing == (site.Timing{})) { // it could not be decoded
		return nil, err
	}
	m := &Machine{File: file, Config: c, Now: now, Hops: map[string]Hop{}, Files: openFiles(), NoPriority: noPriority(c.Process.Nice)}
	for _, p := range problems {
		m.Problems = append(m.Problems, p.Error())
	}
	for _, name := range []string{c.Link.CA, c.Link.Cert} {
		certs, err := certsOf(name)
		if err == nil {
			m.Certs = append(m.Certs, certs...)
		} // a file that cannot be read is a problem of the configuration already
	}
	for i := range c.Peers {
		for _, a := range c.Peers[i].Addresses {
			if host := hostOf(a); host.IsValid() {
				if hop, err := hopTo(host); err == nil {
					m.Hops[a] = hop
				}
			}
		}
	}
	if first, now, ok := site.ShardsIn(c.Data); ok {
		m.Shards = &Shards{first, now}
	}
	if m.Disk, err = tryDisk(c.Data); err != nil {
		m.DiskProblem = err.Error()
	}
	return m, nil
}

func certsOf(file string) (list []Cert, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return list, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return list, fmt.Errorf("read %s: %w", file, err)
		}
		list = append(list, Cert{File: file, Expires: cert.NotAfter})
	}
}

const (
	tryWrites = 200
	tryFor    = 2 * time.Second // at most, on a disk that hangs
)

// tryDisk measures synced writes beside the data, where the site's own will be. A directory that is not there yet is tried where it
// would be made.
func tryDisk(dir string) (*Disk, error) {
	for {
		info, err := os.Stat(dir)
		if err == nil && info.IsDir() {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil, fmt.Errorf("no directory above it exists: %w", err)
		}
		dir = up
	}
	d := &Disk{}
	if err := d.space(dir); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".holdfast-doctor-")
	if err != nil {
		return nil, fmt.Errorf("make a file: %w", err)
	}
	err = d.try(f)
	return d, errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (d *Disk) try(f *os.File) error {
	var took []time.Duration
	page := make([]byte, 4096)
	for began := time.Now(); len(took) < tryWrites && time.Since(began) < tryFor; {
		at := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := syncData(f); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		took = append(took, time.Since(at))
	}
	took = took[min(1, len(took)-1):] // the first one allocates
	slices.Sort(took)
	d.Median, d.Slow = took[len(took)/2], took[len(took)*99/100]
	return nil
}

// Ask asks the site at base what it says of the fleet, and each site that answers for the time and for what it sees of the others.
// connect makes a client for the API at a base URL that asks no other.
func Ask(ctx context.Context, base string, connect func(base string) (*client.Client, error)) (x Fleet, err error) {
	c, err := connect(base)
	if err != nil {
		return x, err
	}
	defer c.Close()
	if x.Sites, err = c.Sites(ctx); err != nil {
		return x, fmt.Errorf("ask for the sites: %w", err)
	}
	if x.Shards, err = c.Shards(ctx); err != nil {
		return x, fmt.Errorf("ask for the shards: %w", err)
	}
	if x.Survival, err = c.Survival(ctx); err != nil {
		return x, fmt.Errorf("ask what would be survived: %w", err)
	}
	if err := x.askBanks(ctx, c); err != nil {
		return x, err
	}
	x.Clocks, x.Unasked, x.Views = map[holdfast.SiteID]time.Duration{}, map[holdfast.SiteID]string{}, map[holdfast.SiteID][]client.Site{}
	for i := range x.Sites {
		s := &x.Sites[i]
		at := s.HTTP
		if s.Self {
			at = base // whatever it calls itself: that is where it has just answered
		}
		if !s.Reachable {
			continue
		}
		if err := x.ask(ctx, s, at, connect); err != nil {
			x.Unasked[s.Site] = err.Error()
		}
	}
	return x, nil
}

var errNoAPI = errors.New("nobody says where its API is")

// ask asks one site for the time and, unless it has been asked, for what it sees.
func (x *Fleet) ask(ctx context.Context, s *client.Site, at string, connect func(base string) (*client.Client, error)) error {
	if at == "" {
		return errNoAPI
	}
	ahead, err := clockOf(ctx, at)
	if err != nil {
		return err
	}
	x.Clocks[s.Site] = ahead
	if s.Self {
		return nil
	}
	c, err := connect(at)
	if err != nil {
		return err
	}
	defer c.Close()
	sites, err := c.Sites(ctx)
	if err != nil {
		return fmt.Errorf("ask %s for the sites: %w", at, err)
	}
	if i := slices.IndexFunc(sites, func(x client.Site) bool { return x.Self }); i < 0 || sites[i].Site != s.Site {
		delete(x.Clocks, s.Site)
		return fmt.Errorf("%s is not the API of that site", at)
	}
	x.Views[s.Site] = sites
	return nil
}

// clockOf is how much the clock of a site is ahead of ours, give or take half a second.
func clockOf(ctx context.Context, base string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/livez", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	sent := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	defer res.Body.Close()
	got := sent.Add(time.Since(sent) / 2)
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("the time of %s: %w", base, err)
	}
	return at.Add(500 * time.Millisecond).Sub(got), nil // the header leaves the fraction of the second out
}
