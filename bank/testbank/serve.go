package testbank

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/bank/files"
	"holdfast/bank/iso20022"
)

// Serve answers customers on one listener and tormentors on the other, until ctx ends or the journal fails.
func (b *Bank) Serve(ctx context.Context, payments, control net.Listener, secure *tls.Config) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if secure != nil {
		payments = tls.NewListener(payments, secure)
	}
	ended := make(chan struct{}, 2)
	for _, face := range []struct {
		http.Handler
		net.Listener
	}{{b.Payments(), payments}, {b.Control(), control}} {
		s := &http.Server{
			Handler: face.Handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0), // whom it does not answer is its business
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		go func() {
			stop(s.Serve(face.Listener))
			ended <- struct{}{}
		}()
		defer func() { <-ended }()
		defer s.Close()
	}
	select {
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	case <-b.journal.failed:
		return b.journal.wait(b.journal.last())
	}
}

// TLS makes the bank's side of HTTPS. With clientCA, customers need a certificate of one of its authorities.
func TLS(certFile, keyFile, clientCA string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the test bank: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if clientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, fmt.Errorf("the authority of the test bank's customers: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the authority of the test bank's customers: %s has no certificate in PEM", clientCA)
	}
	return c, nil
}

// Directories of the exchange of files.
const (
	inbox  = "in"   // pain.001, put there by renaming
	outbox = "out"  // pacs.002 with the name of what it answers, camt.053 of each account and day
	done   = "done" // what has been answered
)

// Exchange is one turn of the exchange of files: it answers what lies in the inbox and writes the statements of the day before. A crash at any
// point leaves something that the next turn does again without harm. A bank that is down does nothing.
func (b *Bank) Exchange(dir string) error {
	for _, name := range []string{inbox, outbox, done} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("make the directories for the exchange of files: %w", err)
		}
	}
	if b.draw().down != "" {
		return nil
	}
	list, err := os.ReadDir(filepath.Join(dir, inbox))
	if err != nil {
		return err
	}
	for _, f := range list {
		if name := f.Name(); f.Type().IsRegular() && strings.HasSuffix(name, ".xml") && !strings.HasPrefix(name, ".") {
			if err := b.answerFile(dir, name); err != nil {
				return err
			}
		}
	}
	return b.statementFiles(dir)
}

func (b *Bank) answerFile(dir, name string) error {
	base := strings.TrimSuffix(name, ".xml")
	file, err := os.Open(filepath.Join(dir, inbox, name))
	if err != nil {
		return err
	}
	doc, err := iso20022.ReadInitiation(file)
	if err := file.Close(); err != nil {
		return err
	}
	if err != nil {
		err = files.Write(filepath.Join(dir, outbox, base+".refused.txt"), []byte("The message is refused as a whole: "+err.Error()+"\n"))
	} else {
		err = b.reportFile(filepath.Join(dir, outbox, base+".pacs.002.xml"), doc)
	}
	if err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, inbox, name), filepath.Join(dir, done, name))
}

func (b *Bank) reportFile(path string, doc *iso20022.Initiation) error {
	report, err := b.receive(doc)
	if err != nil {
		return err
	}
	text, err := report.Encode()
	if err != nil {
		return err
	}
	return files.Write(path, text)
}

// statementFiles writes the statements of the day before, once: the customer may have taken them away. Names of files do not show numbers of accounts.
func (b *Bank) statementFiles(dir string) error {
	b.mu.Lock()
	day := b.day(b.now()).AddDate(0, 0, -1)
	var numbers []string
	for number := range b.accounts {
		numbers = append(numbers, number)
	}
	b.mu.Unlock()
	for _, number := range numbers {
		sum := sha256.Sum256([]byte(number))
		name := "camt.053-" + iso20022.DayText(day) + "-" + hex.EncodeToString(sum[:4]) + ".xml"
		written := filepath.Join(dir, done, name+".written")
		if _, err := os.Stat(written); err == nil {
			continue
		}
		var text strings.Builder
		if err := b.statement(&text, number, day); err != nil {
			return err
		}
		if err := files.Write(filepath.Join(dir, outbox, name), []byte(text.String())); err != nil {
			return err
		}
		if err := files.Write(written, nil); err != nil {
			return err
		}
	}
	return nil
}
