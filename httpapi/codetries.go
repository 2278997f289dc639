package httpapi

import (
	"math"
	"net/http"
	"time"

	"holdfast"
)

var edgeManyCodes = edgeCode{"too-many-codes", http.StatusTooManyRequests, "Not executed: too many payment codes of this API key were wrong. Send the same numbers again after Retry-After, with the code that is shown then."}

// mayTry refuses a request with a payment code when its API key has sent too many wrong ones: nothing of it is looked at.
func (t *till) mayTry(code string) error {
	if code == "" {
		return nil
	}
	wait := t.api.codes.Wait(t.x.who.Name, t.at)
	if wait == 0 {
		return nil
	}
	p := edgeManyCodes.problem("")
	p.retryAfter = time.Duration(math.Ceil(wait.Seconds())) * time.Second
	p.Outcome = holdfast.NotExecuted.String()
	return p
}

// tried counts a wrong code, and hands the error on.
func (t *till) tried(err error) error {
	t.api.codes.Tried(t.x.who.Name, err, t.at)
	return err
}
