// Package wire speaks with a bank in ISO 20022 messages over HTTPS, and has the files that are exchanged with it: a [bank.Connector],
// and the bank's book as one side of a reconciliation.
//
// An order goes out as a pain.001 with one transfer and comes back as a pacs.002. What is asked for by id comes back as a pacs.002 too; for an id
// that the bank has never heard of, as one whose transaction has no status and the reason NHRD, with the status 404. Anything else, whoever
// sends it (a proxy, a login page, a bank in trouble), is no answer.
package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/iso20022"
)

// Config says where the bank is.
type Config struct {
	URL       string       // of the bank's API, without the last slash: https://bank.example/api
	Client    *http.Client // with the bank's authority and our certificate, see [Client]
	Initiator string       // our name in messages, 1-140 characters
	BIC       string       // the bank's; "" where it needs none
	Terms     bank.Terms
}

// Connector is a bank over HTTPS. It implements bank.Connector and bank.Deposits.
type Connector struct{ config Config }

var (
	_ bank.Connector = (*Connector)(nil)
	_ bank.Deposits  = (*Connector)(nil)
)

// accountHeader names the account of a request: numbers of accounts do not belong into URLs, which are logged.
const accountHeader = "Account"

// New makes a connector. Plain HTTP is refused but to this machine.
func New(c Config) (*Connector, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the URL of the bank has to be like https://bank.example/api, without a user or a query")
	}
	address, _ := netip.ParseAddr(u.Hostname()) // a name is none
	if local := address.IsLoopback() || u.Hostname() == "localhost"; u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return nil, fmt.Errorf("bank %s: want https: payments do not travel in the clear", u.Host)
	}
	if err := iso20022.CheckText(c.Initiator, iso20022.MaxText); err != nil {
		return nil, fmt.Errorf("our name in messages to the bank: %w", err)
	}
	if c.Terms.Late <= 0 {
		return nil, errors.New("the bank's cut-off for late messages is not given: without it nobody can tell when a message is lost")
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	return &Connector{c}, nil
}

// Client makes an HTTP client for one bank: caFile has the authorities by which the bank's certificate is known (PEM; "": the
// system's), certFile and keyFile are our own certificate for mutual TLS ("": none). It follows no redirects and uses no proxy.
func Client(caFile, certFile, keyFile string) (*http.Client, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("the bank's authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("the bank's authority: %s has no certificate in PEM", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("our certificate for the bank: give both the certificate and its key")
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("our certificate for the bank: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: c, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Terms implements bank.Connector.
func (c *Connector) Terms() bank.Terms { return c.config.Terms }

// Send implements bank.Connector.
func (c *Connector) Send(ctx context.Context, i *bank.Instruction) bank.Answer {
	doc, err := iso20022.NewInitiation(messageID(i), c.config.Initiator, c.config.BIC, at(i.Sent), i.Order())
	var text []byte
	if err == nil {
		text, err = doc.Encode()
	}
	if err != nil {
		return bank.Answer{Detail: "the instruction cannot be written as a message: " + err.Error()}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL+"/v1/payments", bytes.NewReader(text))
	if err != nil {
		return bank.Answer{Detail: err.Error()}
	}
	r.Header.Set("Content-Type", "application/xml; charset=utf-8")
	return c.status(r, i.ID, true)
}

// Ask implements bank.Connector.
func (c *Connector) Ask(ctx context.Context, id string) bank.Answer {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.URL+"/v1/payments?id="+url.QueryEscape(id), nil)
	if err != nil {
		return bank.Answer{Detail: err.Error()}
	}
	return c.status(r, id, false)
}

// messageID is another one for each attempt, and the same one for the same attempt.
func messageID(i *bank.Instruction) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", i.ID, i.Sent))
	return "HF" + hex.EncodeToString(sum[:16])
}

func at(t holdfast.Time) time.Time { return time.Unix(0, int64(t)).UTC() }

// status makes an answer of what the bank has sent.
func (c *Connector) status(r *http.Request, id string, sent bool) bank.Answer {
	r.Header.Set("Accept", "application/xml")
	answer, err := c.config.Client.Do(r)
	if err != nil {
		return bank.Answer{Detail: plain(err)}
	}
	defer answer.Body.Close()
	switch s := answer.StatusCode; {
	case s == http.StatusOK || s == http.StatusNotFound && !sent:
	default:
		alive := s >= 400 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout
		return bank.Answer{Alive: alive, Detail: "the bank answered with HTTP status " + strconv.Itoa(s)}
	}
	doc, err := iso20022.ReadStatusReport(answer.Body)
	if err != nil {
		return bank.Answer{Detail: "the bank's answer is not to be understood: " + err.Error()}
	}
	told := Answer(doc, id, sent)
	if (answer.StatusCode == http.StatusNotFound) != (told.State == bank.NeverHeard) {
		return bank.Answer{Alive: true, At: told.At, Detail: "the bank's answer says one thing and its HTTP status another"}
	}
	return told
}

// plain is an error without the URL, which has an id in it.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

// states are what the statuses of pacs.002 mean. Those that are not here mean that nothing is known.
var states = map[string]bank.State{
	iso20022.StatusReceived: bank.Pending, iso20022.StatusTechnical: bank.Pending, iso20022.StatusCustomer: bank.Pending,
	iso20022.StatusInProgress: bank.Pending, iso20022.StatusPending: bank.Pending, "ACFC": bank.Pending, "ACWC": bank.Pending,
	"ACWP": bank.Pending, iso20022.StatusSettled: bank.Done, iso20022.StatusCredited: bank.Done, iso20022.StatusRejected: bank.Rejected,
}

// Answer reads off a status report what it says about one id; sent tells that it answers a message with that order alone. A report may say
// it more than once: what is final counts, and two that contradict each other are no answer.
func Answer(doc *iso20022.StatusReport, id string, sent bool) bank.Answer {
	moment, err := doc.Made()
	if err != nil {
		return bank.Answer{Alive: true, Detail: err.Error()}
	}
	told := bank.Answer{Alive: true, At: holdfast.Time(moment.UnixNano()), Detail: "the bank's answer says nothing about the order"}
	for i := range doc.Body.Transactions {
		t := &doc.Body.Transactions[i]
		if t.EndToEnd != id {
			continue
		}
		state := stateOf(t)
		switch {
		case state == bank.Unknown: // a status that means nothing here
		case final(told.State) && final(state) && told.State != state:
			return bank.Answer{Alive: true, At: told.At, Detail: "the bank's answer contradicts itself"}
		case told.State == bank.Unknown || final(state) || told.State == bank.NeverHeard:
			told.State, told.Ref, told.Detail = state, t.Reference, ""
			if state == bank.Rejected {
				told.Reason = t.ReasonCode()
			}
		}
	}
	if told.State == bank.Unknown && sent && len(doc.Body.Transactions) == 0 && len(doc.Body.Group) == 1 && doc.Body.Group[0].Status == iso20022.StatusRejected {
		told.State, told.Detail = bank.Rejected, "" // the message as a whole
	}
	return told
}

func stateOf(t *iso20022.TxStatus) bank.State {
	if t.Status != "" {
		return states[t.Status]
	}
	switch t.ReasonCode() {
	case iso20022.NeverHeardOf:
		return bank.NeverHeard
	case iso20022.OtherContent:
		return bank.Conflict
	}
	return bank.Unknown
}

func final(s bank.State) bool { return s == bank.Done || s == bank.Rejected || s == bank.Conflict }

// Statement fetches the camt.053 of a day, to be read with [StatementItems] or kept as a file; the caller closes it. [bank.ErrNoStatement]: there is none.
func (c *Connector) Statement(ctx context.Context, account bank.Account, day time.Time) (io.ReadCloser, error) {
	body, err := c.get(ctx, account, "/v1/statements?day="+iso20022.DayText(day))
	if missing := (*statusError)(nil); errors.As(err, &missing) && missing.status == http.StatusNotFound {
		return nil, bank.ErrNoStatement
	}
	return body, err
}

// Deposits implements bank.Deposits by camt.054.
func (c *Connector) Deposits(ctx context.Context, account bank.Account, after uint64, max int) ([]bank.Deposit, uint64, error) {
	body, err := c.get(ctx, account, "/v1/deposits?after="+strconv.FormatUint(after, 10)+"&max="+strconv.Itoa(max))
	if err != nil {
		return nil, after, err
	}
	defer body.Close()
	number, upTo, lines, err := iso20022.ReadNotification(body)
	switch {
	case err != nil:
		return nil, after, fmt.Errorf("what has come in: %w", err)
	case number != account.Reveal():
		return nil, after, errors.New("what has come in: the bank has answered for another account")
	case upTo < after || uint64(len(lines)) != upTo-after:
		return nil, after, fmt.Errorf("what has come in after %d: the bank answered with %d deposits up to %d", after, len(lines), upTo)
	}
	var list []bank.Deposit
	for i := range lines {
		d, err := deposit(&lines[i], after+uint64(i)+1)
		if err != nil {
			return nil, after, err
		}
		list = append(list, d)
	}
	return list, upTo, nil
}

func deposit(l *iso20022.Line, seq uint64) (bank.Deposit, error) {
	d := bank.Deposit{Seq: seq, Ref: l.BankRef, EndToEnd: l.EndToEnd, Amount: l.Amount, Asset: l.Asset, Text: l.Text}
	if l.Amount <= 0 {
		return d, fmt.Errorf("deposit %d: its amount is not above 0, so it is none", seq)
	}
	if l.BankRef == "" { // the bank counts its deposits, so this names it as well
		d.Ref = "seq-" + strconv.FormatUint(seq, 10)
	}
	// The money is there whoever sent it: an account that is written in a way of its own is not known, and keeps nobody's money waiting.
	if from, err := bank.ParseAccount(l.Other); err == nil {
		d.From = from
	}
	return d, nil
}

func (c *Connector) get(ctx context.Context, account bank.Account, path string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.URL+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(accountHeader, account.Reveal())
	r.Header.Set("Accept", "application/xml")
	answer, err := c.config.Client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the bank: %s", plain(err))
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, &statusError{answer.StatusCode}
	}
	return answer.Body, nil
}

// statusError is an answer that is none.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("the bank answered with HTTP status %d", e.status)
}
