package link

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"time"

	"holdfast"
)

// Pair is a certificate and its private key, both as PEM.
type Pair struct {
	Cert []byte
	Key  []byte // PKCS #8; secret
}

// CA is the authority of one cluster: it says who is which site.
type CA struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	pair    Pair
}

// NewCA makes an authority for a cluster (1-32 characters a-z, 0-9 and "-"), valid from a little before now for life.
func NewCA(cluster string, now time.Time, life time.Duration) (*CA, error) { panic("unwritten") }

// LoadCA reads an authority with its key from files, for making more certificates.
func LoadCA(certFile, keyFile string, now time.Time) (*CA, error) { panic("unwritten") }

// Cluster is the name of the cluster.
func (ca *CA) Cluster() string { return ca.cluster }

// Pair is the authority's own certificate and key, for [WritePair].
func (ca *CA) Pair() Pair { return ca.pair }

// NewSiteCert makes the certificate of a site: its URI SAN is "holdfast://<cluster>/site/<n>". It does not outlive the
// authority: a longer life is an error.
func (ca *CA) NewSiteCert(site holdfast.SiteID, now time.Time, life time.Duration) (Pair, error) {
	panic("unwritten")
}

// WritePair writes certificate (0644) and key (0600) to new files; files that exist are an error, nothing is overwritten.
func WritePair(certFile, keyFile string, p Pair) error { panic("unwritten") }

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
	panic("unwritten")
}

// NewCredentials is LoadCredentials from memory.
func NewCredentials(caPEM []byte, site Pair, now time.Time) (*Credentials, error) { panic("unwritten") }

// Expires is when the first of the certificates involved ends.
func (c *Credentials) Expires() time.Time { return c.expires }
