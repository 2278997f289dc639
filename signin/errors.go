package signin

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"holdfast/pay"
)

// Codes of refusals, beside those of package pay. They are part of the interface: append, never rename.
const (
	LoginWrong        pay.Code = "login-wrong"
	LoginTaken        pay.Code = "login-taken"
	PasswordShort     pay.Code = "password-too-short"
	PasswordLong      pay.Code = "password-too-long"
	PasswordCommon    pay.Code = "password-too-common"
	PasswordOwn       pay.Code = "password-is-own"
	PasswordSame      pay.Code = "password-unchanged"
	PersonUnknown     pay.Code = "person-unknown"
	PersonExists      pay.Code = "person-exists"
	InvitationUnknown pay.Code = "invitation-unknown"
	SessionUnknown    pay.Code = "session-unknown"
	PasskeysOff       pay.Code = "passkeys-off"
	PasskeyUnknown    pay.Code = "passkey-unknown"
	PasskeyWrong      pay.Code = "passkey-wrong"
	PasskeyTaken      pay.Code = "passkey-exists"
	ChallengeOld      pay.Code = "challenge-expired"
	LastWay           pay.Code = "last-way-in"
	ConfirmFirst      pay.Code = "confirm-first"
)

// texts is the one table of what a person is told.
var texts = map[pay.Code]string{
	LoginWrong:        "The name and the password do not fit together: check both. Who has forgotten the password asks for a new invitation.",
	LoginTaken:        "Somebody else signs in with this e-mail address: take another one.",
	PasswordShort:     "The password is too short: take at least 8 characters, for people of merchants and operators at least 12. A few words in a row are good.",
	PasswordLong:      "The password is too long: take at most 128 characters.",
	PasswordCommon:    "This password is one of those that are tried first, or a simple row of characters: take another one. A few words in a row are good.",
	PasswordOwn:       "The password says little more than your own name, phone number or e-mail address, or the name of this service: take another one.",
	PasswordSame:      "This is the password you have: take another one.",
	PersonUnknown:     "There is no such person: list them to see those there are.",
	PersonExists:      "There is such a person already, with another name or other rights: change those, or take another login.",
	InvitationUnknown: "The invitation was used, is too old, or was replaced by a later one: sign in, or ask for another one.",
	SessionUnknown:    "There is no such session, or not any more: list them to see those there are.",
	PasskeysOff:       "Passkeys are not set up here: sign in with the password.",
	PasskeyUnknown:    "There is no such passkey: list them to see those there are.",
	PasskeyWrong:      "The passkey was not recognised: try again, or sign in in another way.",
	PasskeyTaken:      "This passkey is known already: choose another device.",
	ChallengeOld:      "This took too long, or was done before: begin again.",
	LastWay:           "This is the last way to sign in: add another one first.",
	ConfirmFirst:      "Your last sign-in is too long ago for this: sign in again first.",
}

// Codes lists the codes of refusals that are this package's own.
func Codes() []pay.Code { return slices.Sorted(maps.Keys(texts)) }

// Text is what a person is told about one of these codes.
func Text(c pay.Code) string { return texts[c] }

// refuse makes a refusal, with a code of this package or of package pay.
func refuse(c pay.Code, field string) error {
	said, ours := texts[c]
	if !ours {
		said = c.Text()
	}
	return &pay.Refusal{Code: c, Field: field, Text: said}
}

// TooSoon says that nothing was looked at: there have been too many wrong tries, or too many hashes are being computed.
type TooSoon struct {
	Wait  time.Duration // until it may be tried again
	Tries bool          // because of wrong tries
}

// Error says when to try again.
func (e *TooSoon) Error() string {
	if e.Tries {
		return fmt.Sprintf("too many wrong tries: try again in %v", e.Wait)
	}
	return fmt.Sprintf("too many people sign in at once: try again in %v", e.Wait)
}
