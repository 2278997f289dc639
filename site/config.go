package site

import (
	_ "embed"
	"fmt"
	"net"
	"time"

	"holdfast"
	"holdfast/guard"
)

// configSource is this file: the paragraph above each field is also what [Print] shows, so that it is written once.
//
//go:embed config.go
var configSource []byte

// Config is everything one site has to be told. It is read from one TOML file, decoded strictly (a field nobody knows is
// an error that names file, line and field), checked as a whole at start, and never repaired: a value that is left out
// has the default shown here, a value that is wrong stops the start.
type Config struct {
	// The number of this site, from 1, the same for ever: it is in the certificate and in the log of every shard. Two
	// sites with one number would each keep the other out.
	Site holdfast.SiteID `toml:"site"`

	// What people call the site, 1-40 characters a-z, 0-9 and "-", for example the city. It stands in status, metrics and
	// logs; nothing depends on it.
	Name string `toml:"name"`

	// The city that the site is in, 1-40 characters a-z, 0-9 and "-", or nothing. Sites of one city are expected to fail
	// together once: the forecasts say what that would do.
	City string `toml:"city"`

	// The name of the fleet, 1-32 characters a-z, 0-9 and "-", the same at all its sites. It is part of every certificate:
	// a site of another fleet gets no connection.
	Cluster string `toml:"cluster"`

	// The directory that holds everything this site stores. Only one process at a time can use it. The log in it is the
	// journal of all payments: put it on a disk that keeps its promise when it says that data is safe (fsync).
	Data string `toml:"data"`

	// How many shards the fleet is born with, 1-256, the same at every site. All owners of a slot are in one shard: shard
	// slot*shards/1000+1, until the slot is moved. It is not changed here once there are accounts: further shards are born by
	// order, in the fleet as it runs, and each site remembers them beside its data. With several sites 8 are a good number: each
	// site leads some, and when one fails only the owners of those wait. A single site has nothing to spread, and one shard is faster.
	Shards int `toml:"shards"`

	// The HTTP API.
	HTTP HTTP `toml:"http"`

	// The connections from the other sites. Leave it out for a single site.
	Link Link `toml:"link"`

	// How long things take and how long to wait for them.
	Timing Timing `toml:"timing"`

	// Bounds: what is beyond them is refused at once with a reason, and never executed.
	Limits Limits `toml:"limits"`

	// The disk.
	Store Store `toml:"store"`

	// The process of the site among others on its machine.
	Process Process `toml:"process"`

	// Payments of people: customers, merchants, the gateway for Alipay's SDKs, the cashier page.
	Payments Payments `toml:"payments"`

	// Signing in: customers, people of merchants and operators, with passwords and passkeys.
	SignIn SignIn `toml:"signin"`

	// How browsers come to the pages: by what addresses, and through which proxies.
	Console Console `toml:"console"`

	// Drills that operators start from the console.
	Drills Drills `toml:"drills"`

	// What is written down about the life of the site.
	Log Log `toml:"log"`

	// The other sites of the fleet, one [[peer]] each. This site itself is not among them.
	Peers []Peer `toml:"peer"`

	// The banks that money comes from and goes to, one [[bank]] each, the same at every site: whichever site is in charge speaks with them.
	Banks []Bank `toml:"bank"`

	// Who may use the HTTP API, one [[api_key]] each; "holdfast key" makes one. The same keys at every site, so that a
	// client can move on to the next. Without any key every request is refused.
	Keys []APIKey `toml:"api_key"`
}

// HTTP is the section [http].
type HTTP struct {
	// Where the HTTP API listens: address and port, for example "127.0.0.1:8080", or ":8080" for every address.
	Listen string `toml:"listen"`
}

// Link is the section [link].
type Link struct {
	// Where this site listens for the other sites: one address and port per carrier, in the order of the carriers, which
	// is the same at every site.
	Listen []string `toml:"listen"`

	// Where the other sites reach this one, if that is not what it listens on (behind a translation of addresses, or when
	// it listens on every address): one address and port per carrier. It is what the list of sites says of this site to those
	// whose configuration does not name it.
	Advertise []string `toml:"advertise"`

	// The file with the certificate of the fleet's own authority, made by "holdfast cert ca".
	CA string `toml:"ca"`

	// The file with this site's certificate, made by "holdfast cert site". It names fleet and site number.
	Cert string `toml:"cert"`

	// The file with the key of that certificate. Nobody but the user that runs the site may read it.
	Key string `toml:"key"`
}

// Peer is a section [[peer]].
type Peer struct {
	// The other site's number.
	Site holdfast.SiteID `toml:"site"`

	// What people call the other site.
	Name string `toml:"name"`

	// The city that the other site is in, or nothing, as in its own configuration. Once the list of sites has been changed by order,
	// the cities are those of the list.
	City string `toml:"city"`

	// Where the other site listens for this one: one address and port per carrier, in the order of the carriers. A carrier
	// that the two do not share is "".
	Addresses []string `toml:"addresses"`

	// The base URL of the other site's HTTP API, for people and for clients that ask where else they can go. May be left
	// out.
	HTTP string `toml:"http"`
}

// Timing is the section [timing].
type Timing struct {
	// The round trip between the two sites that are farthest apart, as measured on a normal day. The other times here are
	// checked against it.
	RoundTrip Duration `toml:"round_trip"`

	// The unit of the two numbers below, 1 ms to 1 s.
	Tick Duration `toml:"tick"`

	// A leader lets itself be heard every so many ticks.
	HeartbeatTicks int `toml:"heartbeat_ticks"`

	// A follower that has not heard from its leader for this many ticks, up to twice as many at random, asks the others
	// whether to elect a new one. Smaller means a shorter pause when a site fails; too small means elections for nothing.
	// The time has to be at least 3 heartbeats and at least 3 round trips.
	ElectionTicks int `toml:"election_ticks"`

	// A connection on which nothing was heard for this long is given up and dialled again.
	Silence Duration `toml:"silence"`

	// A site that has not heard from a majority for this long says "not executed" to new requests and "unknown" to those
	// under way, so that callers move on to another site. Between a heartbeat and 300 ms.
	QuorumSilence Duration `toml:"quorum_silence"`

	// How long a request may take before its caller is told that the outcome is unknown (if it was proposed) or that it
	// was not executed: 100 ms to 10 s. A caller may ask for less, and for more up to 10 s.
	Request Duration `toml:"request"`

	// How long a site that has failed has to be well before the leaderships that are at home there go back to it, one by
	// one. Each failure soon after the last doubles it.
	Home Duration `toml:"home"`

	// How often what each shard has sent to each other one is compared with what has landed there, 100 ms to 1 h: by the site that leads the first
	// shard, without being asked. A difference is an event and a condition of the fleet. There is no way to switch it off: a fleet in which
	// nobody compares looks like one in which everything fits, and a look costs no payment anything.
	Audit Duration `toml:"audit"`

	// How long a site that is told to stop takes at most to hand over its leaderships and finish what is under way.
	Stop Duration `toml:"stop"`
}

// Limits is the section [limits].
type Limits struct {
	// How many transactions may be under way in this process at once, waiting for a leader or for the log, before further
	// ones are refused with "overloaded". A batch counts as all its transactions.
	Pending int `toml:"pending"`

	// How many bytes of transactions may be under way to one other site before further ones are refused with "overloaded".
	ForwardBytes int `toml:"forward_bytes"`

	// How many calls with forwarded transactions may be under way to one other site. What comes meanwhile travels together
	// in the next call.
	ForwardCalls int `toml:"forward_calls"`
}

// Store is the section [store].
type Store struct {
	// Memory for blocks of the history that were read lately, in bytes.
	CacheBytes int64 `toml:"cache_bytes"`

	// How much of the disk stays free, in bytes: below it new work is refused with "disk-full", while what is under way,
	// and elections, still find room.
	ReserveBytes int64 `toml:"reserve_bytes"`
}

// Process is the section [process].
type Process struct {
	// The scheduling priority that a site with peers asks the operating system for when it starts, -20 (first) to 19 (last), 0 to
	// leave it as it is. A leader that does not get a processor in time loses its office, so a site should not queue behind
	// whatever else is busy on its machine. Raising it takes a right (root, or CAP_SYS_NICE); without it the site says so in
	// its log and goes on.
	Nice int `toml:"nice"`
}

// Payments is the section [payments].
type Payments struct {
	// The file with the keys under which names of customers are hashed and secrets are sealed, made by "holdfast payment-keys", the same
	// at every site; nobody but the user that runs the site may read it. Without it there are no payments of people: the ledger works as ever,
	// and their addresses say that they are off. Keep a copy in a safe place: without it payment codes and merchants' keys are lost.
	Keys string `toml:"keys"`

	// The address under which browsers and merchants reach this fleet, for example "https://pay.example", the same at every site: it is in
	// QR codes, in the links to the cashier page and in those of bills. Nothing: http:// and the address the HTTP API listens on.
	Public string `toml:"public"`

	// The time zone, by its IANA name, in which the days and months of customers' limits begin.
	Zone string `toml:"zone"`

	// Networks that notices and events may be posted to although they are private, for example "10.20.0.0/16": test machines of merchants. None
	// in production, or whoever enters an address there can have this platform talk to machines behind its own firewall.
	NotifyNetworks []string `toml:"notify_networks"`

	// How far the timestamp of a request at the gateway (v2) may be from the time, either way: 1 minute to 48 hours. It is read as Beijing time, and SDKs in
	// containers send UTC.
	TimestampWindow Duration `toml:"timestamp_window"`

	// How long after the payment a merchant has to ship what is under the platform's protection, 1 hour to 365 days, the same at every site. Then the
	// buyer has his money back.
	ShipWithin Duration `toml:"ship_within"`

	// How long money stays frozen for a merchant, who may take it meanwhile, 1 hour to 365 days, the same at every site. Then what is left is
	// the customer's again.
	FreezeFor Duration `toml:"freeze_for"`

	// The shortest time that a merchant may give a buyer to confirm or dispute after shipping, 1 hour to 90 days, the same at every site.
	LeastProtection Duration `toml:"least_protection"`

	// How long the money of an announced top-up is waited for, 1 hour to 365 days, the same at every site. Money that comes later is credited
	// all the same.
	TopUpWithin Duration `toml:"top_up_within"`

	// Whether notices and events may be posted to http addresses in the open internet as well: they are signed, but everybody on the
	// way can read them.
	NotifyPlain bool `toml:"notify_plain"`
}

// SignIn is the section [signin]. It says the same at every site.
type SignIn struct {
	// The domain for which passkeys are good: that of the pages, or one above it, for example "pay.example". All sites of the fleet share it, or a passkey
	// works at one of them only. Passkeys that people have are lost when it changes. Nothing: there are no passkeys.
	PasskeyDomain string `toml:"passkey_domain"`

	// Where the pages are on which passkeys are used: scheme, host and port, for example "https://hangzhou.pay.example", of each site.
	Origins []string `toml:"origins"`

	// What browsers call this service when they ask for a passkey.
	Name string `toml:"name"`

	// How long a session of an operator, or of somebody who manages a merchant, may be unused.
	StrictIdle Duration `toml:"strict_idle"`

	// How long any other one may be unused.
	Idle Duration `toml:"idle"`

	// How long a session lasts at most.
	Longest Duration `toml:"longest"`

	// How long the session of a customer's own phone may be unused.
	PhoneIdle Duration `toml:"phone_idle"`

	// How long that one lasts at most.
	PhoneLongest Duration `toml:"phone_longest"`

	// Memory that the hash of a password takes (Argon2id), in KiB. When it changes, hashes are made anew as people sign in.
	HashMemory uint32 `toml:"hash_memory"`

	// How often the hash passes over its memory.
	HashPasses uint32 `toml:"hash_passes"`

	// How many hashes a site computes at once. Eight times as many people wait for their turn; more are turned away.
	HashesAtOnce int `toml:"hashes_at_once"`
}

// Console is the section [console].
type Console struct {
	// Where browsers reach the pages of each site: scheme, host and port by the name of the site, the same at every site, for example
	// {hangzhou = "https://hangzhou.pay.example", shanghai = "https://shanghai.pay.example"}. A page that has lost its site goes on at one of these. All
	// of them are https, or all http. Nothing: the http addresses of the list of sites, which are those of the API.
	Sites map[string]string `toml:"sites"`

	// The domain of the cookies, so that who has signed in at one site has at all: one above the hosts in sites, for example "pay.example". Everything else
	// below it gets the cookies too: give the pages a domain of their own. Nothing: each host has its own cookies, which are enough when
	// the sites share one host on several ports.
	CookieDomain string `toml:"cookie_domain"`

	// Addresses and networks of the proxies before this site, for example ["127.0.0.1", "10.20.0.0/24"]. What they say of where a request comes from, and that
	// it came by TLS (X-Forwarded-Proto), is believed, and that of nobody else. Wrong sign-ins are bounded for each address: without
	// this, everybody behind a proxy has one together.
	TrustedProxies []string `toml:"trusted_proxies"`

	// The header in which those proxies say where a request comes from: "X-Forwarded-For", or "Forwarded" (RFC 7239). The other one is not looked
	// at: a proxy passes it on as anybody has written it.
	ProxyHeader string `toml:"proxy_header"`
}

// Bank is a section [[bank]].
type Bank struct {
	// What the platform calls the bank, 1-32 letters and digits. It stands in orders: never give it to another bank, and leave the
	// bank here until all of its orders have ended.
	Name string `toml:"name"`

	// The base URL of the bank's API, https, or http on this machine. Nothing: payments go to the bank as files, see exchange.
	URL string `toml:"url"`

	// The directory for the exchange of files with the bank: the platform keeps in it what was handed over and what has come. It has to be the same
	// one at every site, on a file system that all of them have mounted and on which locks work, or an order could be handed over twice when the
	// site in charge changes; a site that has another one exchanges nothing and says so. With url as well, only statements come as files.
	Exchange string `toml:"exchange"`

	// Where the bank takes files from (pain.001, one an order), and removes them, on the same file system. Nothing: "out" in exchange.
	Outbox string `toml:"outbox"`

	// Where the bank's files are put (pacs.002 or pain.002, camt.053), by renaming, on the same file system. Nothing: "in" in exchange.
	Inbox string `toml:"inbox"`

	// The number of the platform's own account at the bank: an IBAN, or the bank's own.
	Account string `toml:"account"`

	// The platform's name in messages to the bank, 1-140 characters.
	Initiator string `toml:"initiator"`

	// The bank's BIC (ISO 9362), where its messages want one.
	BIC string `toml:"bic"`

	// The currency of the account, three letters (ISO 4217).
	Asset string `toml:"asset"`

	// The file with the authorities by which the bank's certificate is known, in PEM. Nothing: those of the system.
	CA string `toml:"ca"`

	// The files with our certificate for the bank and its key, where it wants one.
	Cert string `toml:"cert"`

	// The key of that certificate.
	Key string `toml:"key"`

	// The bank takes no message that was made longer ago than this, as its contract says. Until then a message without an answer may still
	// arrive, so money is not given back before.
	Late Duration `toml:"late"`

	// The time zone of the bank's days and statements, by its IANA name.
	Zone string `toml:"zone"`

	// How often the bank is asked what has come in. Nothing: every 10 s.
	Poll Duration `toml:"poll"`

	// How often the orders that wait are listed anew, for those that nobody has told of. Nothing: every 30 s.
	Rescan Duration `toml:"rescan"`

	// How far the bank's clock may go back at worst.
	ClockStep Duration `toml:"clock_step"`
}

// Drills is the section [drills].
type Drills struct {
	// Whether operators may run drills beside this site, through the API and from the console: each starts a fleet of its own on this machine, breaks it, and
	// proves what became of the payments. It has no part in the books of this site, and takes much of its processors for a minute or two, so
	// people who pay here may have to wait longer. Turn it on where that does no harm: on a machine for trials, or at a site that serves nobody.
	Enable bool `toml:"enable"`
}

// Log is the section [log].
type Log struct {
	// The least level that is written: "debug", "info", "warn" or "error".
	Level string `toml:"level"`

	// "text" for people, "json" for machines.
	Format string `toml:"format"`
}

// APIKey is a section [[api_key]].
type APIKey struct {
	// Who uses the key: 1-64 characters a-z, 0-9, "-", "." and "_", unique. Requests with the same idempotency key under
	// different names are different requests.
	Name string `toml:"name"`

	// "reader" sees, "teller" also pays, "operator" also moves leaders, freezes and closes accounts.
	Role guard.Role `toml:"role"`

	// The SHA-256 of the text of the key, 64 hexadecimal digits. The text itself is stored nowhere.
	SHA256 guard.Hash `toml:"sha256"`
}

// Duration is a time.Duration that is written as text: "10ms", "1.5s".
type Duration time.Duration

// Std converts to a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String gives the text form, for example "150ms".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.30q is no length of time: write for example \"150ms\" or \"2s\"", text)
	}
	*d = Duration(v)
	return nil
}

// HonestWithin is how soon a site without a majority says so, counted from the request when the majority was lost before
// it, and from the loss when it was under way.
const HonestWithin = 300 * time.Millisecond

// Default is the configuration of a site of which nothing was said: every value that has a default.
func Default() Config {
	return Config{
		Shards: 1,
		HTTP:   HTTP{Listen: "127.0.0.1:8080"},
		Timing: Timing{
			RoundTrip:      Duration(10 * time.Millisecond),
			Tick:           Duration(10 * time.Millisecond),
			HeartbeatTicks: 2,
			ElectionTicks:  10,
			Silence:        Duration(300 * time.Millisecond),
			QuorumSilence:  Duration(230 * time.Millisecond),
			Request:        Duration(2 * time.Second),
			Home:           Duration(5 * time.Second),
			Audit:          Duration(time.Minute),
			Stop:           Duration(5 * time.Second),
		},
		Limits:  Limits{Pending: 1 << 18, ForwardBytes: 64 << 20, ForwardCalls: 8},
		Store:   Store{CacheBytes: 256 << 20, ReserveBytes: 512 << 20},
		Process: Process{Nice: -10},
		Payments: Payments{
			Zone: "Asia/Shanghai", TimestampWindow: Duration(24 * time.Hour),
			ShipWithin: Duration(15 * 24 * time.Hour), FreezeFor: Duration(30 * 24 * time.Hour), LeastProtection: Duration(72 * time.Hour),
			TopUpWithin: Duration(30 * 24 * time.Hour),
		},
		SignIn: SignIn{
			Name: "Holdfast", StrictIdle: Duration(30 * time.Minute), Idle: Duration(12 * time.Hour), Longest: Duration(24 * time.Hour),
			PhoneIdle: Duration(7 * 24 * time.Hour), PhoneLongest: Duration(30 * 24 * time.Hour), HashMemory: 19 << 10, HashPasses: 2, HashesAtOnce: 4,
		},
		Console: Console{ProxyHeader: HeaderXForwardedFor},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// Embedded is the configuration of a single site without peers, as "holdfast serve" runs it without a file. It has no API
// key yet.
func Embedded(data, listen string) Config {
	c := Default()
	c.Site, c.Name, c.Cluster, c.Data, c.HTTP.Listen = 1, "local", "local", data, listen
	if _, port, err := net.SplitHostPort(listen); err == nil { // browsers take passkeys for this name without TLS
		c.SignIn.PasskeyDomain, c.SignIn.Origins = "localhost", []string{"http://localhost:" + port}
	}
	return c
}

// FleetShards is how many shards a fleet of several sites should have: enough for each site to lead some, so that the loss of one
// touches a share of the owners, and few enough for most payments of an entry to be of one.
const FleetShards = 8

// Example is the configuration of the first of several sites, to be edited: names, addresses and certificates are invented. It has two
// carriers, because with one the loss of a cable is the loss of a site, and holdfast status says so.
func Example(data string, sites int) Config {
	c := Embedded(data, "10.0.0.1:8080")
	c.Name, c.Cluster, c.Shards = "site-1", "prod", FleetShards
	addresses := func(n int) []string {
		return []string{fmt.Sprintf("10.0.0.%d:7001", n), fmt.Sprintf("10.1.0.%d:7001", n)}
	}
	c.Link = Link{Listen: addresses(1), CA: "pki/ca.crt", Cert: "pki/site-1.crt", Key: "pki/site-1.key"}
	for i := 2; i <= sites; i++ {
		c.Peers = append(c.Peers, Peer{
			Site: holdfast.SiteID(i), Name: fmt.Sprintf("site-%d", i), Addresses: addresses(i),
			HTTP: fmt.Sprintf("http://10.0.0.%d:8080", i),
		})
	}
	return c
}

// GuardKeys are the API keys as guard takes them.
func (c *Config) GuardKeys() []guard.Key {
	keys := make([]guard.Key, 0, len(c.Keys))
	for _, k := range c.Keys {
		keys = append(keys, guard.Key{Name: k.Name, Role: k.Role, Hash: k.SHA256})
	}
	return keys
}

// Election is the shortest time after which a follower suspects its leader.
func (t Timing) Election() time.Duration { return t.Tick.Std() * time.Duration(t.ElectionTicks) }

// Heartbeat is how often a leader lets itself be heard.
func (t Timing) Heartbeat() time.Duration { return t.Tick.Std() * time.Duration(t.HeartbeatTicks) }
