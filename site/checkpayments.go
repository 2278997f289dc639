package site

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"holdfast"
)

// MaxBanks is how many banks there can be.
const MaxBanks = 16

func (c *Config) checkPayments(k *checker) {
	p := &c.Payments
	if p.Public != "" {
		u, err := url.Parse(p.Public)
		k.that(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.User == nil,
			"payments.public", "%q is no address of a host alone, for example https://pay.example", p.Public)
	}
	_, err := time.LoadLocation(p.Zone)
	k.that(err == nil && p.Zone != "" && p.Zone != "Local", "payments.zone", "%q is no time zone: write its IANA name, for example Asia/Shanghai", p.Zone)
	k.that(p.TimestampWindow >= Duration(time.Minute) && p.TimestampWindow <= Duration(48*time.Hour), "payments.timestamp_window",
		"%s is not within 1m-48h", p.TimestampWindow)
	within := func(d Duration, most time.Duration, field, text string) {
		k.that(d.Std() >= time.Hour && d.Std() <= most, "payments."+field, "%s is not within %s", d, text)
	}
	within(p.ShipWithin, 365*24*time.Hour, "ship_within", "1h-8760h (a year)")
	within(p.FreezeFor, 365*24*time.Hour, "freeze_for", "1h-8760h (a year)")
	within(p.TopUpWithin, 365*24*time.Hour, "top_up_within", "1h-8760h (a year)")
	within(p.LeastProtection, 90*24*time.Hour, "least_protection", "1h-2160h (90 days)")
	for i, n := range p.NotifyNetworks {
		_, err := netip.ParsePrefix(n)
		k.that(err == nil, fmt.Sprintf("payments.notify_networks[%d]", i), "%q is no network: write for example 10.20.0.0/16", n)
	}
}

func (c *Config) checkSignIn(k *checker) {
	s := &c.SignIn
	k.that((s.PasskeyDomain == "") == (len(s.Origins) == 0), "signin.origins", "give both it and passkey_domain, or none of them")
	for i, o := range s.Origins {
		u, err := url.Parse(o)
		k.that(err == nil && (u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost") && u.Path == "" && u.RawQuery == "" && u.User == nil &&
			(u.Hostname() == s.PasskeyDomain || strings.HasSuffix(u.Hostname(), "."+s.PasskeyDomain)), fmt.Sprintf("signin.origins[%d]", i),
			"%q is no origin below %s, for example https://%s", o, s.PasskeyDomain, s.PasskeyDomain)
	}
	k.that(s.Name != "" && len(s.Name) <= 64, "signin.name", "has %d bytes: want 1-64", len(s.Name))
	for _, d := range []struct {
		name  string
		d, to Duration
	}{
		{"strict_idle", s.StrictIdle, s.Longest},
		{"idle", s.Idle, s.Longest},
		{"longest", s.Longest, longestSession},
		{"phone_idle", s.PhoneIdle, s.PhoneLongest},
		{"phone_longest", s.PhoneLongest, longestSession},
	} {
		k.that(d.d >= Duration(time.Minute) && d.d <= d.to, "signin."+d.name, "%s is not within 1m-%s", d.d, d.to)
	}
	k.that(s.HashMemory >= 8 && s.HashMemory <= 1<<20, "signin.hash_memory", "%d is not within 8-%d KiB", s.HashMemory, 1<<20)
	k.that(s.HashPasses >= 1 && s.HashPasses <= 64, "signin.hash_passes", "%d is not within 1-64", s.HashPasses)
	k.that(s.HashesAtOnce >= 1 && s.HashesAtOnce <= 64, "signin.hashes_at_once", "%d is not within 1-64", s.HashesAtOnce)
}

// longestSession is the longest that any session may last.
const longestSession = Duration(90 * 24 * time.Hour)

func (c *Config) checkBanks(k *checker) {
	k.that(len(c.Banks) == 0 || c.Payments.Keys != "", "bank", "there are no payments of people without payments.keys: give it, or leave the banks out")
	k.that(len(c.Banks) <= MaxBanks, "bank", "there are %d, at most %d are possible", len(c.Banks), MaxBanks)
	names := map[string]string{}
	for i := range c.Banks {
		b, field := &c.Banks[i], fmt.Sprintf("bank[%d]", i)
		k.that(bankName(b.Name), field+".name", "%q is not 1-%d letters and digits", b.Name, maxBankName)
		unique(k, names, b.Name, field+".name")
		k.that(b.URL != "" || b.Exchange != "", field+".url", "is missing, and so is exchange: one of them has to say how to reach the bank")
		u, err := url.Parse(b.URL)
		k.that(b.URL == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "", field+".url", "%q is no base URL, for example https://bank.example/api", b.URL)
		k.that(b.Exchange != "" || b.Outbox == "" && b.Inbox == "", field+".exchange", "is missing: without it outbox and inbox are of no use")
		for name, dir := range map[string]string{"exchange": b.Exchange, "outbox": b.Outbox, "inbox": b.Inbox} {
			k.that(dir == "" || filepath.IsAbs(dir), field+"."+name, "%q is no absolute path", dir)
		}
		if b.Exchange != "" {
			unique(k, names, filepath.Clean(b.Exchange), field+".exchange")
		}
		k.that(b.Account != "", field+".account", "is missing: the platform's own account at the bank")
		k.that(b.Initiator != "" && len(b.Initiator) <= 140, field+".initiator", "has %d bytes: want 1-140, the platform's name in messages", len(b.Initiator))
		_, err = holdfast.ParseAsset(b.Asset)
		k.that(err == nil, field+".asset", "%q is no currency: write for example CNY", b.Asset)
		k.that((b.Cert == "") == (b.Key == ""), field+".cert", "give both cert and key, or neither")
		k.that(b.Late > 0, field+".late", "is missing: the bank's cut-off for late messages, for example \"10m\"")
		k.that(b.ClockStep >= 0, field+".clock_step", "%s is negative", b.ClockStep)
		k.that(b.Poll >= 0, field+".poll", "%s is negative", b.Poll)
		k.that(b.Rescan >= 0, field+".rescan", "%s is negative", b.Rescan)
		_, err = time.LoadLocation(b.Zone)
		k.that(err == nil && b.Zone != "Local", field+".zone", "%q is no time zone: write its IANA name, for example Asia/Shanghai", b.Zone)
	}
}

const maxBankName = 32

// bankName checks the name of a bank: it stands in keys of records.
func bankName(s string) bool {
	ok := len(s) > 0 && len(s) <= maxBankName
	for i := range len(s) {
		b := s[i]
		ok = ok && (b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z')
	}
	return ok
}
