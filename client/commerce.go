package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrUnknown is wrapped by the error of a call of which nobody knows whether it was executed: the deadline was over, or a site said no while
// another one may have done it. Make the same call again, with the same numbers: it is done at most once, and answered as the first time.
var ErrUnknown = errors.New("the outcome is not known: ask again with the same numbers")

// order asks for something that changes the payments, and decodes the answer into v. Sites that cannot do it now, or do not answer, are not the last
// word: the same is asked of another one, until the deadline. The error is an [*Error] when a site has refused, and wraps [ErrUnknown] when it
// may have been executed all the same.
func (c *Client) order(ctx context.Context, path string, body, v any) error {
	key, given := ctx.Value(numberOfCall{}).(string)
	if !given {
		key = c.NewID().String()
	}
	return c.orderAs(ctx, path, key, body, v)
}

// orderAs is order with a number of the caller's as the Idempotency-Key.
func (c *Client) orderAs(ctx context.Context, path, key string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("POST %s was not sent: %w", path, err)
	}
	a, maybe, err := c.do(ctx, &request{method: http.MethodPost, path: path, key: key, body: text, pace: pacePay})
	if err == nil && (a.problem || a.status >= http.StatusBadRequest) {
		err = problemError(&a)
	}
	if err != nil {
		if maybe {
			return fmt.Errorf("%w; %w", ErrUnknown, err)
		}
		return err
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("%w; site %s: the answer to POST %s, which was done, cannot be read: %w", ErrUnknown, a.site.base, path, err)
	}
	return nil
}

// numberOr is the number of a request; a new one if it is "".
func (c *Client) numberOr(number string) string {
	if number == "" {
		return c.NewID().String()
	}
	return number
}

// pathOf is a path whose parts that begin with ":" are replaced, in their order, by texts that may have any characters.
func pathOf(pattern string, texts ...string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		b.WriteByte('/')
		if !strings.HasPrefix(part, ":") {
			b.WriteString(part)
			continue
		}
		text := url.PathEscape(texts[0])
		if text == "." || text == ".." { // would be a step in the path
			text = strings.ReplaceAll(text, ".", "%2E")
		}
		b.WriteString(text)
		texts = texts[1:]
	}
	return b.String()
}
