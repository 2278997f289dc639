package httpapi

import (
	"encoding/base64"
	"math"
	"time"

	"holdfast"
)

// The bodies of the API. The documented schemas are made from these types; incoming ones are read by the scanner below,
// and a test holds the two together.

// TransactionBody is one transaction as it is asked for, and shown.
type TransactionBody struct {
	ID            string             `json:"id,omitempty" format:"uuid" doc:"Id of the transaction. May be left out when the Idempotency-Key header is sent"`
	Preconditions []preconditionBody `json:"preconditions,omitempty" doc:"Versions that records must have; else all of it is refused"`
	Accounts      []accountOpBody    `json:"accounts,omitempty" doc:"Accounts to open, freeze, thaw or close, before the transfers"`
	Transfers     []TransferBody     `json:"transfers,omitempty" doc:"All of them happen, or none"`
	Records       []recordChangeBody `json:"records,omitempty" doc:"Business documents to write, atomically with the transfers"`
	Messages      []MessageBody      `json:"messages,omitempty" doc:"Messages for the outbox of the shard, atomically with the transfers"`
}

type submissionBody struct {
	TransactionBody
	Transactions []TransactionBody `json:"transactions,omitempty" maxItems:"8000" doc:"Many independent transactions, each with an id of its own. Then nothing else is given"`
}

// TransferBody is one transfer of a transaction.
type TransferBody struct {
	ID       string `json:"id,omitempty" format:"uuid" doc:"Id of the transfer. The only transfer of a transaction may leave it out: then it is the transaction's"`
	Kind     string `json:"kind,omitempty" enum:"immediate,hold,post,void,expire" doc:"What it does; immediate if left out. Only the platform itself makes transfers that expire holds"`
	Debit    string `json:"debit,omitempty" doc:"Account that pays. May be left out by post and void" example:"2088000000010420.wallet.CNY"`
	Credit   string `json:"credit,omitempty" doc:"Account that receives. May be left out by post and void"`
	Amount   int64  `json:"amount,omitempty" doc:"In minor units: 1250 is CNY 12.50. For post 0 is the whole hold; a void has none"`
	Hold     string `json:"hold,omitempty" format:"uuid" doc:"The hold that post and void refer to"`
	TimeoutS int64  `json:"timeout_s,omitempty" minimum:"0" doc:"Seconds after which a hold expires; 0 is never"`
	Code     uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295" doc:"The caller's own classification"`
	Ref      string `json:"ref,omitempty" doc:"The caller's own reference, a UUID: transfers can be found by it"`
}

type accountOpBody struct {
	Op    string `json:"op,omitempty" enum:"open,freeze,thaw,close" doc:"What happens to the account; open if left out"`
	ID    string `json:"id" doc:"<owner>.<purpose>.<asset>" example:"2088000000010420.wallet.CNY"`
	Limit string `json:"limit,omitempty" enum:"none,debits,credits" doc:"debits: never below zero (wallets). credits: never above. none if left out. For open"`
	Code  uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295" doc:"The caller's own classification. For open"`
	Ref   string `json:"ref,omitempty" doc:"The caller's own reference, a UUID. For open"`
}

type preconditionBody struct {
	Key     string `json:"key" doc:"Key of a record"`
	Version uint64 `json:"version" doc:"The version it must have; 0: it must not exist. One that was deleted and is written again starts at version 1 again"`
}

type recordChangeBody struct {
	Key    string   `json:"key" minLength:"1" maxLength:"200"`
	Expect *uint64  `json:"expect,omitempty" doc:"The version it must have now; 0: it must not exist. No condition if left out. A record that was deleted and is written again starts at version 1 again, and what was read of its first life can fit"`
	Index  []string `json:"index,omitempty" maxItems:"16" doc:"Keys under which it can be found, replacing those it had"`
	Body   string   `json:"body,omitempty" contentEncoding:"base64" doc:"At most 64 KiB, in base64"`
	Delete bool     `json:"delete,omitempty" doc:"Delete it; then index and body are left out. Written again it starts at version 1 again: where others write with expect, mark it as deleted in its body instead"`
}

type MessageBody struct {
	To    uint16 `json:"to" doc:"Shard it is for"`
	Topic string `json:"topic" minLength:"1" maxLength:"200"`
	Body  string `json:"body,omitempty" contentEncoding:"base64" doc:"At most 64 KiB, in base64"`
}

var (
	transactionMembers  = []string{"id", "preconditions", "accounts", "transfers", "records", "messages"}
	submissionMembers   = append(transactionMembers[:len(transactionMembers):len(transactionMembers)], "transactions")
	transferMembers     = []string{"id", "kind", "debit", "credit", "amount", "hold", "timeout_s", "code", "ref"}
	accountOpMembers    = []string{"op", "id", "limit", "code", "ref"}
	preconditionMembers = []string{"key", "version"}
	recordMembers       = []string{"key", "expect", "index", "body", "delete"}
	messageMembers      = []string{"to", "topic", "body"}
)

// Bounds of the scanner are wider than the ledger's, so that the ledger's own word is what the caller reads.
const (
	maxKey      = 4 * holdfast.MaxRecordKey
	maxBlob     = 2 * holdfast.MaxRecordBody
	maxTimeoutS = math.MaxInt64 / int64(time.Second)
	maxList     = holdfast.MaxLegs
)

// submission is what POST /v1/transactions asks for: one transaction, or many.
type submission struct {
	txns []holdfast.Txn
	many bool
}

func readSubmission(text string) (submission, error) {
	s := newScanner(text)
	var sub submission
	var one holdfast.Txn
	single := ""
	for name := range s.members(submissionMembers) {
		if name == "transactions" {
			sub.many = true
			sub.txns = s.transactions()
		} else {
			single = name
			s.transactionMember(name, &one)
		}
	}
	if sub.many && single != "" {
		s.failAt("%q stands beside \"transactions\": send one transaction, or many", single)
	}
	if !sub.many {
		sub.txns = []holdfast.Txn{one}
	}
	return sub, s.end()
}

func (s *scanner) transactions() (list []holdfast.Txn) {
	for range s.elements(maxList) {
		var t holdfast.Txn
		for name := range s.members(transactionMembers) {
			s.transactionMember(name, &t)
		}
		list = append(list, t)
	}
	return list
}

func (s *scanner) transactionMember(name string, t *holdfast.Txn) {
	switch name {
	case "id":
		t.ID = s.id()
	case "preconditions":
		for range s.elements(maxList) {
			t.Preconditions = append(t.Preconditions, s.precondition())
		}
	case "accounts":
		for range s.elements(maxList) {
			t.Accounts = append(t.Accounts, s.accountOp(accountOpMembers))
		}
	case "transfers":
		for range s.elements(maxList) {
			t.Transfers = append(t.Transfers, s.transfer(holdfast.Immediate, transferMembers))
		}
	case "records":
		for range s.elements(maxList) {
			t.Records = append(t.Records, s.record())
		}
	case "messages":
		for range s.elements(maxList) {
			t.Messages = append(t.Messages, s.message())
		}
	}
}

// readTransfer reads a body that is one transfer; kind is what it is if it does not say.
func readTransfer(text string, kind holdfast.Kind, known []string) (holdfast.Transfer, error) {
	s := newScanner(text)
	t := s.transfer(kind, known)
	return t, s.end()
}

func (s *scanner) transfer(kind holdfast.Kind, known []string) holdfast.Transfer {
	t := holdfast.Transfer{Kind: kind}
	for name := range s.members(known) {
		s.transferMember(name, &t)
	}
	return t
}

func (s *scanner) transferMember(name string, t *holdfast.Transfer) {
	switch name {
	case "id":
		t.ID = s.id()
	case "kind":
		t.Kind = s.kind()
	case "debit":
		t.Debit = s.account()
	case "credit":
		t.Credit = s.account()
	case "amount":
		t.Amount = s.wholeAmount()
	case "hold":
		t.Hold = s.id()
	case "timeout_s":
		t.Timeout = time.Duration(s.integer(0, maxTimeoutS)) * time.Second
	case "code":
		t.Code = uint32(s.integer(0, math.MaxUint32))
	case "ref":
		t.Ref = s.ref()
	}
}

func (s *scanner) wholeAmount() holdfast.Amount {
	return holdfast.Amount(s.integer(math.MinInt64, math.MaxInt64))
}

func (s *scanner) kind() holdfast.Kind {
	text := s.string(maxName)
	for k := holdfast.Immediate; k <= holdfast.Expire; k++ {
		if k.String() == text {
			return k
		}
	}
	s.failWord(holdfast.CodeKindInvalid)
	return 0
}

// readAccountOp reads the body of POST /v1/accounts.
func readAccountOp(text string, known []string) (holdfast.AccountChange, error) {
	s := newScanner(text)
	a := s.accountOp(known)
	return a, s.end()
}

var opNames = [...]string{"", "open", "freeze", "thaw", "close"}

func (s *scanner) accountOp(known []string) holdfast.AccountChange {
	a := holdfast.AccountChange{Op: holdfast.OpenAccount}
	for name := range s.members(known) {
		switch name {
		case "op":
			a.Op = s.accountVerb()
		case "id":
			a.ID = s.account()
		case "limit":
			a.Limit = s.limit()
		case "code":
			a.Code = uint32(s.integer(0, math.MaxUint32))
		case "ref":
			a.Ref = s.ref()
		}
	}
	return a
}

func (s *scanner) accountVerb() holdfast.AccountOp {
	text := s.string(maxName)
	for op := holdfast.OpenAccount; op <= holdfast.CloseAccount; op++ {
		if opNames[op] == text {
			return op
		}
	}
	s.fail("%s is not one of open, freeze, thaw, close", printable(text))
	return 0
}

func (s *scanner) limit() holdfast.Limit {
	text := s.string(maxName)
	if s.fault != nil {
		return 0
	}
	l, err := holdfast.ParseLimit(text)
	if err != nil {
		s.failWord(holdfast.CodeLimitInvalid)
	}
	return l
}

func (s *scanner) precondition() (p holdfast.Precondition) {
	given := false
	for name := range s.members(preconditionMembers) {
		switch name {
		case "key":
			p.Key = s.string(maxKey)
		case "version":
			p.Version, given = uint64(s.integer(0, math.MaxInt64)), true
		}
	}
	if !given {
		s.fail("a precondition has a version: give it, 0 if the record must not exist")
	}
	return p
}

func (s *scanner) record() holdfast.RecordChange {
	r := holdfast.RecordChange{Expect: holdfast.AnyVersion}
	for name := range s.members(recordMembers) {
		switch name {
		case "key":
			r.Key = s.string(maxKey)
		case "expect":
			r.Expect = uint64(s.integer(0, math.MaxInt64))
		case "index":
			for range s.elements(maxList) {
				r.Index = append(r.Index, s.string(maxKey))
			}
		case "body":
			r.Body = s.base64(maxBlob)
		case "delete":
			r.Delete = s.boolean()
		}
	}
	return r
}

func (s *scanner) message() (m holdfast.Message) {
	for name := range s.members(messageMembers) {
		switch name {
		case "to":
			m.To = holdfast.ShardID(s.integer(0, math.MaxUint16))
		case "topic":
			m.Topic = s.string(maxKey)
		case "body":
			m.Body = s.base64(maxBlob)
		}
	}
	return m
}

// bodyOf is the inverse of reading: what was asked for, as the API writes it. Acks are the courier's own business.
func bodyOf(t *holdfast.Txn) TransactionBody {
	b := TransactionBody{ID: idText(t.ID)}
	for _, p := range t.Preconditions {
		b.Preconditions = append(b.Preconditions, preconditionBody(p))
	}
	for _, a := range t.Accounts {
		b.Accounts = append(b.Accounts, accountOpBody{opNames[a.Op], a.ID.String(), a.Limit.String(), a.Code, a.Ref.String()})
	}
	for i := range t.Transfers {
		b.Transfers = append(b.Transfers, transferBodyOf(&t.Transfers[i]))
	}
	for _, r := range t.Records {
		c := recordChangeBody{Key: r.Key, Index: r.Index, Body: base64Text(r.Body), Delete: r.Delete}
		if r.Expect != holdfast.AnyVersion {
			c.Expect = new(r.Expect)
		}
		b.Records = append(b.Records, c)
	}
	for _, m := range t.Messages {
		b.Messages = append(b.Messages, MessageBody{uint16(m.To), m.Topic, base64Text(m.Body)})
	}
	return b
}

func transferBodyOf(t *holdfast.Transfer) TransferBody {
	return TransferBody{
		ID: idText(t.ID), Kind: t.Kind.String(), Debit: accountText(t.Debit), Credit: accountText(t.Credit), Amount: int64(t.Amount),
		Hold: idText(t.Hold), TimeoutS: int64(t.Timeout / time.Second), Code: t.Code, Ref: t.Ref.String(),
	}
}

// idText is "" for the zero id, which stands for "none".
func idText(id holdfast.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// accountText is "" for the zero account, which stands for "that of the hold".
func accountText(id holdfast.AccountID) string {
	if id == (holdfast.AccountID{}) {
		return ""
	}
	return id.String()
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
