package guard

import (
	"fmt"

	"holdfast"
)

// Role is what a principal is trusted with. Each role may do everything the smaller ones may.
type Role uint8

const (
	// NoRole is the zero value: may do nothing.
	NoRole Role = iota
	// Reader sees balances, statements, payments and the state of the fleet.
	Reader
	// Teller moves money: payments, holds, new owners and accounts, customers and merchants.
	Teller
	// Operator moves leaders, freezes, thaws and closes accounts, blocks wallets and merchants.
	Operator
)

var roleNames = [...]string{"none", "reader", "teller", "operator"}

// String gives "none", "reader", "teller" or "operator".
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole reads "reader", "teller" or "operator".
func ParseRole(text string) (Role, error) {
	for r := Reader; r <= Operator; r++ {
		if roleNames[r] == text {
			return r, nil
		}
	}
	return NoRole, fmt.Errorf("role %.20q is not one of reader, teller, operator", text)
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; the errors are those of [ParseRole].
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// Action is what a request wants to do. The list is closed: an action without a row in the table is allowed to nobody.
type Action uint8

const (
	// ReadMoney sees accounts, statements, transactions, transfers, holds, records and messages.
	ReadMoney Action = iota + 1
	// ReadFleet sees sites, shards, the audit and the metrics.
	ReadFleet
	// IssueOwners takes fresh owner numbers.
	IssueOwners
	// OpenAccounts makes accounts.
	OpenAccounts
	// MoveMoney makes transfers and holds, posts and voids them, writes records and messages, and acknowledges these.
	MoveMoney
	// RestrictAccounts freezes, thaws and closes accounts.
	RestrictAccounts
	// MoveLeaders hands the leadership of a shard to another site.
	MoveLeaders
	// RebuildReplicas wipes a site's replica of a shard, so that it joins again, or decides that its state is the right one.
	RebuildReplicas
	// ChangeSites adds, replaces and retires sites.
	ChangeSites
	// MoveSlots moves slots of owners from one shard to another.
	MoveSlots
	// SplitShards lets shards be born, and gives them a part of the slots of others.
	SplitShards
	// ManageCustomers registers customers, and changes their aliases, wallets, limits and devices.
	ManageCustomers
	// ManageMerchants registers merchants, and changes their fees, currencies, apps, shops and webhooks.
	ManageMerchants
	// RestrictPayments blocks wallets and merchants, decides disputes, and says whose money is that banks have brought.
	RestrictPayments
	// BypassPayments moves the money of payments of people, or writes their records, in the ledger itself: past limits, blocks, disputes and the rows
	// of settlements.
	BypassPayments
	// ManageOperators says who signs in as an operator, and with which role.
	ManageOperators
	// RunDrills starts fleets beside a site to break them, which takes its processors, and reads what they have found.
	RunDrills
	// AuditPayments compares the accounts of customers and merchants with all their documents, which reads everything there is.
	AuditPayments
)

// rights is the one table of who may do what: the least role an action needs.
var rights = map[Action]Role{
	ReadMoney:        Reader,
	ReadFleet:        Reader,
	IssueOwners:      Teller,
	OpenAccounts:     Teller,
	MoveMoney:        Teller,
	RestrictAccounts: Operator,
	MoveLeaders:      Operator,
	RebuildReplicas:  Operator,
	ChangeSites:      Operator,
	MoveSlots:        Operator,
	SplitShards:      Operator,
	ManageCustomers:  Teller,
	ManageMerchants:  Teller,
	ManageOperators:  Operator,
	RestrictPayments: Operator,
	BypassPayments:   Operator,
	AuditPayments:    Operator,
	RunDrills:        Operator,
}

var actionNames = map[Action]string{
	ReadMoney:        "read-money",
	ReadFleet:        "read-fleet",
	IssueOwners:      "issue-owners",
	OpenAccounts:     "open-accounts",
	MoveMoney:        "move-money",
	RestrictAccounts: "restrict-accounts",
	MoveLeaders:      "move-leaders",
	RebuildReplicas:  "rebuild-replicas",
	ChangeSites:      "change-sites",
	MoveSlots:        "move-slots",
	SplitShards:      "split-shards",
	ManageCustomers:  "manage-customers",
	ManageMerchants:  "manage-merchants",
	ManageOperators:  "manage-operators",
	RestrictPayments: "restrict-payments",
	BypassPayments:   "bypass-payments",
	AuditPayments:    "audit-payments",
	RunDrills:        "run-drills",
}

// String names the action, for error texts and logs.
func (a Action) String() string {
	if name, ok := actionNames[a]; ok {
		return name
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// Needs is the action with the highest role that a transaction asks for: a transfer beside a freeze needs the right to
// freeze.
func Needs(t *holdfast.Txn) Action {
	for i := range t.Accounts {
		if t.Accounts[i].Op != holdfast.OpenAccount {
			return RestrictAccounts
		}
	}
	if len(t.Accounts) > 0 && len(t.Transfers)+len(t.Records)+len(t.Messages) == 0 {
		return OpenAccounts
	}
	return MoveMoney
}

// Denied is the error of [Authorise].
type Denied struct {
	Principal string
	Role      Role
	Action    Action
	Needs     Role // NoRole: the action is not in the table
}

// Error says who lacked what.
func (d *Denied) Error() string {
	return fmt.Sprintf("%s (%s) may not %s: a key with the role %s is needed", d.Principal, d.Role, d.Action, d.Needs)
}

// Authorise reports nil when p may do a, and a *[Denied] otherwise.
func Authorise(p Principal, a Action) error {
	needs, known := rights[a]
	if known && p.Role >= needs && p.Role <= Operator {
		return nil
	}
	return &Denied{Principal: p.Name, Role: p.Role, Action: a, Needs: needs}
}
