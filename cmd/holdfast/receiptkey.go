package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"holdfast/receipt"
	"holdfast/site"
)

// receiptKeyName is the file in the data directory with the key with which this site signs receipts.
const receiptKeyName = "receipt.key"

// receiptKey is the key of a running site.
type receiptKey struct {
	signer atomic.Pointer[receipt.Signer]
}

// open makes the key when the site first starts, and has the certificate of the site certify it. Whatever goes wrong, payments go on.
func (k *receiptKey) open(cfg *site.Config, s *site.Site) error {
	private, err := readReceiptKey(filepath.Join(cfg.Data, receiptKeyName))
	if err != nil {
		return err
	}
	fleet, by := cfg.Cluster, receipt.Endorser(nil)
	if c := s.Signer(); c != nil {
		fleet, by = c.Cluster, c
	}
	signer, err := receipt.NewSigner(private, fleet, cfg.Site, by, time.Now())
	if err != nil {
		return err
	}
	k.signer.Store(signer)
	return nil
}

// readReceiptKey reads a key that only this user can read, or makes it.
func readReceiptKey(file string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeReceiptKey(file)
	case err != nil:
		return nil, fmt.Errorf("the key for receipts: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the key for receipts: others may read %s: chmod 600 it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the key for receipts: %w", err)
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if private, ok := key.(ed25519.PrivateKey); ok {
				return private, nil
			}
		}
	}
	return nil, fmt.Errorf("the key for receipts: %s is no Ed25519 key (PKCS #8, PEM): move it away, and a new one is made at the next start; what was signed stays good", file)
}

func makeReceiptKey(file string) (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key for receipts: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("make the key for receipts: %w", err)
	}
	whole := file + ".new" // a crash in between leaves no half of a key under the name
	err = errors.Join(writeSynced(whole, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), os.Rename(whole, file))
	if err != nil {
		return nil, fmt.Errorf("write the key for receipts: %w", err)
	}
	return private, nil
}

func writeSynced(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
