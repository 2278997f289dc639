package link

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"holdfast"
)

// backdate makes certificates valid a little before they were made, for clocks that are behind.
const backdate = time.Hour

const (
	scheme      = "holdfast"
	pemCert     = "CERTIFICATE"
	pemKey      = "PRIVATE KEY"
	shortest    = 24 * time.Hour // of a certificate; anything less is a mistake
	openToOther = fs.FileMode(0o077)
)

var clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Pair is a certificate and its private key, both as PEM.
type Pair struct {
	Cert []byte
	Key  []byte // PKCS #8; secret
}

// String keeps the key out of logs.
func (p Pair) String() string { return "certificate and key (redacted)" }

// GoString keeps the key out of logs.
func (p Pair) GoString() string { return p.String() }

// CA is the authority of one cluster: it says who is which site.
type CA struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	pair    Pair
}

// NewCA makes an authority for a cluster (1-32 characters a-z, 0-9 and "-"), valid from a little before now for life.
func NewCA(cluster string, now time.Time, life time.Duration) (*CA, error) {
	if !clusterName.MatchString(cluster) {
		return nil, fmt.Errorf("cluster name %.40q is not 1-32 characters a-z, 0-9 and \"-\", for example demo", cluster)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Holdfast CA of cluster " + cluster},
		URIs:                  []*url.URL{{Scheme: scheme, Host: cluster, Path: "/ca"}},
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	key, pair, err := issue(template, nil, nil, now, life)
	if err != nil {
		return nil, fmt.Errorf("make the authority of cluster %s: %w", cluster, err)
	}
	return openCA(pair, key)
}

// LoadCA reads an authority with its key from files, for making more certificates.
func LoadCA(certFile, keyFile string, now time.Time) (*CA, error) {
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key: %w", certFile, keyFile, err)
	}
	key, ok := loaded.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !loaded.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not an authority made by `holdfast cert`", certFile)
	}
	if err := current(loaded.Leaf, now); err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	return openCA(pair, key)
}

func openCA(pair Pair, key *ecdsa.PrivateKey) (*CA, error) {
	certs, err := parseCerts(pair.Cert)
	if err != nil {
		return nil, err
	}
	cluster, rest, err := identity(certs[0])
	if err != nil {
		return nil, err
	}
	if rest != "ca" {
		return nil, fmt.Errorf("certificate %q is not that of an authority", certs[0].Subject.CommonName)
	}
	return &CA{cluster: cluster, cert: certs[0], key: key, pair: pair}, nil
}

// Cluster is the name of the cluster.
func (ca *CA) Cluster() string { return ca.cluster }

// Expires is when the authority ends, and every certificate of it at the latest.
func (ca *CA) Expires() time.Time { return ca.cert.NotAfter }

// Pair is the authority's own certificate and key, for [WritePair].
func (ca *CA) Pair() Pair { return ca.pair }

// NewSiteCert makes the certificate of a site: its URI SAN is "holdfast://<cluster>/site/<n>". It does not outlive the
// authority: a longer life is an error.
func (ca *CA) NewSiteCert(site holdfast.SiteID, now time.Time, life time.Duration) (Pair, error) {
	if site == 0 {
		return Pair{}, errors.New("sites are numbered from 1")
	}
	if end := now.Add(life); end.After(ca.cert.NotAfter) {
		return Pair{}, fmt.Errorf(
			"a certificate until %s would outlive its authority, which ends %s: choose a shorter life or renew the authority",
			end.UTC().Format(time.DateOnly), ca.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: fmt.Sprintf("Holdfast site %d of cluster %s", site, ca.cluster)},
		URIs:        []*url.URL{{Scheme: scheme, Host: ca.cluster, Path: fmt.Sprintf("/site/%d", site)}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	_, pair, err := issue(template, ca.cert, ca.key, now, life)
	if err != nil {
		return Pair{}, fmt.Errorf("make the certificate of site %d: %w", site, err)
	}
	return pair, nil
}

// issue makes a key and a certificate for it, signed by parent, or by itself when parent is nil.
func issue(
	template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, now time.Time, life time.Duration,
) (*ecdsa.PrivateKey, Pair, error) {
	if life < shortest {
		return nil, Pair{}, fmt.Errorf("a life of %v is too short: give at least %v", life, shortest)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Pair{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, Pair{}, err
	}
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(life)
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, Pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, Pair{}, err
	}
	return key, Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: keyDER}),
	}, nil
}

// WritePair writes certificate (0644) and key (0600) to new files. A file that exists is an error: nothing is overwritten, and neither is
// written, because a key beside the certificate of another is worse than none.
func WritePair(certFile, keyFile string, p Pair) error {
	if err := CheckNew(certFile, keyFile); err != nil {
		return err
	}
	if err := writeNew(keyFile, p.Key, 0o600); err != nil {
		return err
	}
	if err := writeNew(certFile, p.Cert, 0o644); err != nil {
		return errors.Join(err, os.Remove(keyFile)) // which is ours, and of no use
	}
	return nil
}

// CheckNew refuses names of which one is that of a file already.
func CheckNew(certFile, keyFile string) error {
	for _, name := range []string{keyFile, certFile} {
		if _, err := os.Lstat(name); err == nil {
			return existsAlready(name)
		}
	}
	return nil
}

func existsAlready(name string) error {
	return fmt.Errorf("%s exists already: certificates and keys are never overwritten, move it away first", name)
}

func writeNew(name string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return existsAlready(name)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Sync()
}

// Credentials prove who a site is, and let it check who the others are.
type Credentials struct {
	Cluster string
	Site    holdfast.SiteID
	cert    tls.Certificate
	pool    *x509.CertPool
	expires time.Time
}

// LoadCredentials reads the cluster's CA certificates (one or more in a file, so that an authority can be replaced), and the
// certificate and key of a site. Expired or foreign certificates and key files that others may read are an error that says
// what to do.
func LoadCredentials(caFile, certFile, keyFile string, now time.Time) (*Credentials, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificates of the cluster's authority: %w", err)
	}
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c, err := NewCredentials(ca, pair, now)
	if err != nil {
		return nil, fmt.Errorf("%s, %s, %s: %w", caFile, certFile, keyFile, err)
	}
	return c, nil
}

// NewCredentials is LoadCredentials from memory.
func NewCredentials(caPEM []byte, site Pair, now time.Time) (*Credentials, error) {
	roots, err := parseCerts(caPEM)
	if err != nil {
		return nil, fmt.Errorf("certificates of the authority: %w", err)
	}
	cert, err := tls.X509KeyPair(site.Cert, site.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key of the site do not belong together: %w", err)
	}
	c := &Credentials{cert: cert, pool: x509.NewCertPool()}
	for _, root := range roots {
		c.pool.AddCert(root)
	}
	if c.Cluster, c.Site, err = siteIdentity(cert.Leaf); err != nil {
		return nil, err
	}
	if err := current(cert.Leaf, now); err != nil {
		return nil, err
	}
	chain, err := c.chain(cert.Leaf, now)
	if err != nil {
		return nil, fmt.Errorf("the certificate of site %d was not made by this authority: %w", c.Site, err)
	}
	c.expires = endOf(chain)
	return c, nil
}

// endOf is when the first certificate of a chain ends.
func endOf(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// Expires is when the first of the certificates involved ends.
func (c *Credentials) Expires() time.Time { return c.expires }

// SignDigest makes an ASN.1 signature of a SHA-256 digest with the key of the site.
func (c *Credentials) SignDigest(digest []byte) ([]byte, error) {
	key, ok := c.cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key of the site cannot sign")
	}
	return key.Sign(rand.Reader, digest, crypto.SHA256)
}

// KeyID names the key of the site as its certificate does.
func (c *Credentials) KeyID() string { return c.cert.Leaf.URIs[0].String() }

// Certificate is that of the site, in DER.
func (c *Credentials) Certificate() []byte { return c.cert.Leaf.Raw }

// Authority is whom somebody trusts to say who is which site, and nobody else. It is safe for concurrent use.
type Authority struct{ trusted Credentials }

// ParseAuthority reads the certificates of the authorities of a cluster, in PEM.
func ParseAuthority(caPEM []byte) (*Authority, error) {
	roots, err := parseCerts(caPEM)
	if err != nil {
		return nil, fmt.Errorf("certificates of the authority: %w", err)
	}
	a := &Authority{Credentials{pool: x509.NewCertPool()}}
	for _, root := range roots {
		a.trusted.pool.AddCert(root)
	}
	return a, nil
}

// Identify says which site of which cluster a certificate belongs to, if it was good at a moment and the authority has made it.
func (a *Authority) Identify(leaf *x509.Certificate, at time.Time) (cluster string, site holdfast.SiteID, err error) {
	if _, err := a.trusted.chain(leaf, at); err != nil {
		return "", 0, err
	}
	return siteIdentity(leaf)
}

// verify says which site of the cluster a certificate belongs to.
func (c *Credentials) verify(leaf *x509.Certificate, now time.Time) (holdfast.SiteID, error) {
	if _, err := c.chain(leaf, now); err != nil {
		return 0, err
	}
	cluster, site, err := siteIdentity(leaf)
	if err != nil {
		return 0, err
	}
	if cluster != c.Cluster {
		return 0, fmt.Errorf("certificate is of cluster %q, not %q", cluster, c.Cluster)
	}
	return site, nil
}

// chain verifies that the certificate was made by an authority of this cluster, for both ends of a connection.
func (c *Credentials) chain(leaf *x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	opts := x509.VerifyOptions{Roots: c.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := leaf.Verify(opts); err != nil {
		return nil, err
	}
	opts.KeyUsages[0] = x509.ExtKeyUsageClientAuth
	chains, err := leaf.Verify(opts)
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}

// siteIdentity reads cluster and site from the URI SAN of a site's certificate.
func siteIdentity(cert *x509.Certificate) (string, holdfast.SiteID, error) {
	cluster, rest, err := identity(cert)
	if err != nil {
		return "", 0, err
	}
	number, ok := strings.CutPrefix(rest, "site/")
	n, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != number {
		return "", 0, fmt.Errorf("certificate %q is not that of a site: make one with `holdfast cert`", cert.Subject.CommonName)
	}
	return cluster, holdfast.SiteID(n), nil
}

// identity reads the one URI SAN that certificates of Holdfast have: "holdfast://<cluster>/<rest>".
func identity(cert *x509.Certificate) (cluster, rest string, err error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != scheme || !clusterName.MatchString(cert.URIs[0].Host) {
		return "", "", fmt.Errorf("certificate %.80q has no URI of the form %s://<cluster>/...: make one with `holdfast cert`",
			cert.Subject.CommonName, scheme)
	}
	return cert.URIs[0].Host, strings.TrimPrefix(cert.URIs[0].Path, "/"), nil
}

// current says what is wrong with the dates of a certificate.
func current(cert *x509.Certificate, now time.Time) error {
	name, day := cert.Subject.CommonName, time.DateTime
	if now.After(cert.NotAfter) {
		return fmt.Errorf("certificate %q expired on %s UTC: make a new one with `holdfast cert`", name, cert.NotAfter.UTC().Format(day))
	}
	if now.Before(cert.NotBefore) {
		return fmt.Errorf("certificate %q is valid from %s UTC, but the clock here says %s: set the clock",
			name, cert.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	return nil
}

func parseCerts(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != pemCert {
			return nil, fmt.Errorf("found a PEM block %q where only certificates belong", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("there is no PEM certificate in it")
	}
	return certs, nil
}

func readPair(certFile, keyFile string) (p Pair, err error) {
	if p.Cert, err = os.ReadFile(certFile); err != nil {
		return Pair{}, fmt.Errorf("certificate: %w", err)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return Pair{}, fmt.Errorf("key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&openToOther != 0 {
		return Pair{}, fmt.Errorf("key %s has mode %04o, so that others on this machine may read it: chmod 600 %s",
			keyFile, mode, keyFile)
	}
	if p.Key, err = os.ReadFile(keyFile); err != nil {
		return Pair{}, fmt.Errorf("key: %w", err)
	}
	return p, nil
}
